package org.drnet.android

import com.google.ai.edge.litert.Accelerator
import com.google.ai.edge.litert.CompiledModel
import com.google.ai.edge.litert.TensorBuffer
import java.io.File
import org.drnet.bundle.Bundle
import org.drnet.bundle.Limit
import org.drnet.bundle.Rule
import org.drnet.bundle.SubTaskCache

/**
 * A sub-network that runs on the CPU: one image in, a score for each of its labels out.
 *
 * Making one cuts files and compiles, running one computes: do both off the main thread, and use
 * one model from one thread at a time. Close it to free the runtime's memory.
 *
 * @property labels the classes of the outputs, in their order
 * @property file the sub-network, a plain `.tflite` file that any other runtime takes too
 */
class SubTaskModel
private constructor(
    val labels: List<String>,
    val file: File,
    private val compiled: CompiledModel,
) : AutoCloseable {
    private val inputs: List<TensorBuffer> = compiled.createInputBuffers()
    private val outputs: List<TensorBuffer> = compiled.createOutputBuffers()

    /**
     * Runs the network.
     *
     * @param image floats in the order height, width, channel, as the network was trained on
     * @return a score for each label
     */
    fun run(image: FloatArray): FloatArray {
        inputs[0].writeFloat(image)
        compiled.run(inputs, outputs)
        return outputs[0].readFloat()
    }

    override fun close() {
        inputs.forEach { it.close() }
        outputs.forEach { it.close() }
        compiled.close()
    }

    companion object {
        /**
         * Cuts a sub-network out of a bundle, or takes it from the cache, and compiles it.
         *
         * The request is that of [Bundle.extract].
         *
         * @param cache also keeps XNNPACK's packed weights: a second start is faster, for about
         *   the bytes of the sub-network again
         * @param threads of the CPU; null leaves the choice to the runtime
         * @throws org.drnet.bundle.BundleException if the request cannot be met or the cache's
         *   folder cannot be written
         */
        @JvmStatic
        @JvmOverloads
        fun create(
            bundle: Bundle,
            classes: List<String>,
            cache: SubTaskCache,
            rule: Rule = Rule.UNION,
            limit: Limit = Limit.keptFraction(0.5),
            roundTo: Int = 8,
            threads: Int? = null,
        ): SubTaskModel {
            val cached = cache.get(bundle, classes, rule, limit, roundTo)
            val options = CompiledModel.Options(Accelerator.CPU)
            options.cpuOptions =
                CompiledModel.CpuOptions(
                    numThreads = threads,
                    xnnPackWeightCachePath = cached.weightCache().path,
                )
            val compiled = CompiledModel.create(cached.model().path, options)
            return SubTaskModel(classes.toList(), cached.model(), compiled)
        }
    }
}
