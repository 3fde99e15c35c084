package org.drnet.sample

import android.content.res.AssetManager
import com.google.ai.edge.litert.Accelerator
import com.google.ai.edge.litert.CompiledModel
import java.util.Locale
import org.drnet.android.SubTaskModel
import org.drnet.bundle.Bundle
import org.drnet.bundle.SubTaskCache

/** Runs an image through a sub-network and through the full one, and measures both. */
class Comparison(
    private val assets: AssetManager,
    private val asset: String,
    private val bundle: Bundle,
    private val cache: SubTaskCache,
) {
    /** The sub-network's answer and what both networks cost, as text. */
    fun run(image: FloatArray, classes: List<String>): String {
        val start = System.nanoTime()
        SubTaskModel.create(bundle, classes, cache).use { small ->
            val ready = milliseconds(start)
            val scores = small.run(image)
            val best = scores.indices.maxByOrNull { scores[it] }!!
            val smallTime = median { small.run(image) }
            return "${small.labels[best]} (%.2f)\n".format(Locale.ROOT, scores[best]) +
                line("sub-network", small.file.length(), smallTime) +
                line("full network", bundle.size().toLong(), full(image)) +
                "ready after %.1f ms".format(Locale.ROOT, ready)
        }
    }

    /** The bundle is the full network as well: the runtime takes it as it is. */
    private fun full(image: FloatArray): Double =
        CompiledModel.create(assets, asset, CompiledModel.Options(Accelerator.CPU)).use { model ->
            val inputs = model.createInputBuffers()
            inputs[0].writeFloat(image)
            val outputs = model.createOutputBuffers()
            median { model.run(inputs, outputs) }
        }

    private fun line(name: String, bytes: Long, time: Double) =
        "%s: %.1f ms, %.2f MB\n".format(Locale.ROOT, name, time, bytes / 1e6)

    private fun median(work: () -> Unit): Double {
        repeat(WARM_UPS) { work() }
        val times =
            List(RUNS) {
                val start = System.nanoTime()
                work()
                milliseconds(start)
            }
        return times.sorted()[RUNS / 2]
    }

    private fun milliseconds(start: Long) = (System.nanoTime() - start) / 1e6

    private companion object {
        const val WARM_UPS = 3
        const val RUNS = 11
    }
}
