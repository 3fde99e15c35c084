// What of LiteRT 2.3's Kotlin interface the face and the sample call, without the runtime. It is
// for build_apk.sh alone: an offline build cannot have the real one.
package com.google.ai.edge.litert

import android.content.res.AssetManager

private fun missing(): Nothing =
    throw UnsupportedOperationException(
        "This APK was built without LiteRT to try the build; build it with Gradle to run networks."
    )

enum class Accelerator {
    CPU
}

abstract class JniHandle : AutoCloseable {
    override fun close() {}
}

class TensorBuffer private constructor() : JniHandle() {
    fun writeFloat(data: FloatArray): Unit = missing()

    fun readFloat(): FloatArray = missing()
}

class CompiledModel private constructor() : JniHandle() {
    data class CpuOptions(
        val numThreads: Int? = null,
        val xnnPackFlags: Int? = null,
        val xnnPackWeightCachePath: String? = null,
    )

    class Options(vararg val accelerators: Accelerator) {
        var cpuOptions: CpuOptions? = null
    }

    fun createInputBuffers(signatureIndex: Int = 0): List<TensorBuffer> = missing()

    fun createOutputBuffers(signatureIndex: Int = 0): List<TensorBuffer> = missing()

    fun run(inputs: List<TensorBuffer>, outputs: List<TensorBuffer>, signatureIndex: Int = 0) {
        missing()
    }

    companion object {
        fun create(filePath: String, options: Options): CompiledModel = missing()

        fun create(assets: AssetManager, name: String, options: Options): CompiledModel = missing()
    }
}
