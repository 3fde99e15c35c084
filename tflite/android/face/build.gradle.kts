plugins {
    id("com.android.library")
}

android {
    namespace = "org.drnet.android"
    compileSdk = 36
    defaultConfig {
        minSdk = 23
    }
}

dependencies {
    api(project(":core"))
    api("com.google.ai.edge.litert:litert:2.3.0")
}
