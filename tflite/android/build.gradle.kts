// Android's plugin brings Kotlin with it from version 9 on.
plugins {
    id("com.android.application") version "9.2.1" apply false
    id("com.android.library") version "9.2.1" apply false
}
