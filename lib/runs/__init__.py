"""Many runs: workers, results kept on disk, and the keys that identify them."""
