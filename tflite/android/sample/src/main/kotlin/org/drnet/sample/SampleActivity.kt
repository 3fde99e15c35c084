package org.drnet.sample

import android.app.Activity
import android.content.ActivityNotFoundException
import android.content.Intent
import android.graphics.Bitmap
import android.graphics.BitmapFactory
import android.os.Bundle
import android.provider.MediaStore
import android.view.View
import android.widget.ArrayAdapter
import android.widget.ListView
import android.widget.TextView
import java.io.File
import java.util.concurrent.Executors
import org.drnet.android.openBundle
import org.drnet.bundle.SubTaskCache

/** Some classes and an image in; the label, milliseconds and bytes of both networks out. */
class SampleActivity : Activity() {
    private val worker = Executors.newSingleThreadExecutor()
    private lateinit var classes: ListView
    private lateinit var result: TextView
    private var comparison: Comparison? = null

    override fun onCreate(state: Bundle?) {
        super.onCreate(state)
        setContentView(R.layout.sample)
        classes = findViewById(R.id.classes) as ListView
        result = findViewById(R.id.result) as TextView
        (findViewById(R.id.camera) as View).setOnClickListener {
            ask(CAMERA, Intent(MediaStore.ACTION_IMAGE_CAPTURE))
        }
        (findViewById(R.id.picture) as View).setOnClickListener {
            ask(PICTURE, Intent(Intent.ACTION_GET_CONTENT).setType("image/*"))
        }
        inBackground {
            val bundle = openBundle(assets, ASSET)
            val cache = SubTaskCache(File(cacheDir, "subnetworks"), CACHE_BYTES)
            comparison = Comparison(assets, ASSET, bundle, cache)
            runOnUiThread { show(bundle.classNames()) }
            ""
        }
    }

    override fun onDestroy() {
        worker.shutdown()
        super.onDestroy()
    }

    private fun show(names: List<String>) {
        val row = android.R.layout.simple_list_item_multiple_choice
        classes.adapter = ArrayAdapter(this, row, names)
    }

    private fun ask(request: Int, intent: Intent) {
        if (chosen().isEmpty()) {
            result.setText(R.string.choose_first)
            return
        }
        try {
            @Suppress("DEPRECATION") // its successor needs AndroidX
            startActivityForResult(intent, request)
        } catch (e: ActivityNotFoundException) {
            result.setText(R.string.no_camera)
        }
    }

    @Deprecated("Its successor needs AndroidX, which one activity does not.")
    override fun onActivityResult(request: Int, code: Int, data: Intent?) {
        if (code != RESULT_OK || data == null) {
            return
        }
        val asked = chosen()
        inBackground { comparison!!.run(image(request, data), asked) }
    }

    private fun chosen(): List<String> {
        val checked = classes.checkedItemPositions ?: return emptyList()
        return (0 until classes.count)
            .filter { checked.get(it) }
            .map { classes.getItemAtPosition(it) as String }
    }

    /** The image as the network takes it. A camera gives a small one, which is enough. */
    private fun image(request: Int, data: Intent): FloatArray {
        @Suppress("DEPRECATION")
        val bitmap =
            if (request == CAMERA) data.getParcelableExtra<Bitmap>("data")!!
            else contentResolver.openInputStream(data.data!!).use { BitmapFactory.decodeStream(it) }
        return toFloats(bitmap, resources.getInteger(R.integer.image_side))
    }

    private fun inBackground(work: () -> String) {
        result.setText(R.string.working)
        worker.execute {
            val text =
                try {
                    work()
                } catch (e: Exception) {
                    // Whatever it is, the person who tries the sample wants to read it.
                    e.message ?: e.toString()
                }
            runOnUiThread { result.text = text }
        }
    }

    private companion object {
        const val ASSET = "bundle.tflite"
        const val CACHE_BYTES = 200L shl 20
        const val CAMERA = 1
        const val PICTURE = 2
    }
}
