"""Many runs: workers, results on disk, and the keys that identify them."""
