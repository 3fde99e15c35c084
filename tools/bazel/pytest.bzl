"""One Bazel test for every test file."""

def pytest_tests(files, data, deps):
    """Declares a `py_test` for each file, named after it.

    Args:
      files: paths that end in `_test.py`.
      data: what the tests read beside their sources.
      deps: what they import.
    """
    for file in files:
        native.py_test(
            name = file[:-len(".py")],
            srcs = [
                file,
                "//tools/bazel:run_pytest.py",
            ],
            args = ["$(location %s)" % file],
            data = data,
            main = "//tools/bazel:run_pytest.py",
            deps = deps,
        )
