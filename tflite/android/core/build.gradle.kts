plugins {
    `java-library`
}

tasks.withType<JavaCompile>().configureEach {
    options.release = 8
}

// The tests need no framework, so that they also run where only a JDK is.
val coreTests =
    tasks.register<JavaExec>("coreTests") {
        classpath = sourceSets.test.get().runtimeClasspath
        mainClass = "org.drnet.bundle.TestMain"
        enableAssertions = true
    }

tasks.test { enabled = false }
tasks.check { dependsOn(coreTests) }
