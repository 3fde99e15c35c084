package org.drnet.android

import android.content.res.AssetManager
import java.io.FileInputStream
import java.io.FileNotFoundException
import java.io.IOException
import java.nio.channels.FileChannel
import org.drnet.bundle.Bundle

/**
 * Opens a bundle among the app's assets, without copying it.
 *
 * @param name of the asset, which must be stored uncompressed
 * @throws IOException if it is not there or compressed
 * @throws org.drnet.bundle.BundleException if it is no bundle or is broken
 */
fun openBundle(assets: AssetManager, name: String): Bundle {
    val descriptor =
        try {
            assets.openFd(name)
        } catch (e: FileNotFoundException) {
            throw IOException(
                "The asset $name could not be mapped: got '${e.message}', expected one that is" +
                    " there and stored uncompressed; put it into src/main/assets and add" +
                    " noCompress += \"tflite\" to the build file.",
                e,
            )
        }
    descriptor.use {
        FileInputStream(it.fileDescriptor).use { stream ->
            val mapped =
                stream.channel.map(FileChannel.MapMode.READ_ONLY, it.startOffset, it.declaredLength)
            return Bundle.open(mapped)
        }
    }
}
