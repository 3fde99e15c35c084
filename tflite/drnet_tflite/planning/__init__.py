"""Plans bundles: reads a `.tflite` graph and says what its channels touch.

Runs where networks are converted; devices read only what `bundles` reads.
"""
