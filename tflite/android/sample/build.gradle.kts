plugins {
    id("com.android.application")
}

android {
    namespace = "org.drnet.sample"
    compileSdk = 36
    defaultConfig {
        applicationId = "org.drnet.sample"
        minSdk = 23
        targetSdk = 36
        versionCode = 1
        versionName = "1"
    }
    androidResources {
        // A compressed asset cannot be mapped.
        noCompress += "tflite"
    }
}

dependencies {
    implementation(project(":face"))
}
