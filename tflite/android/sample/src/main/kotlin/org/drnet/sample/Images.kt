package org.drnet.sample

import android.graphics.Bitmap

/** A square RGB image as floats of 0 to 1, in the order height, width, channel. */
fun toFloats(bitmap: Bitmap, side: Int): FloatArray {
    val scaled = Bitmap.createScaledBitmap(bitmap, side, side, true)
    val pixels = IntArray(side * side)
    scaled.getPixels(pixels, 0, side, 0, 0, side, side)
    val floats = FloatArray(3 * pixels.size)
    for (i in pixels.indices) {
        floats[3 * i] = (pixels[i] shr 16 and 0xff) / 255f
        floats[3 * i + 1] = (pixels[i] shr 8 and 0xff) / 255f
        floats[3 * i + 2] = (pixels[i] and 0xff) / 255f
    }
    return floats
}
