"""Many runs, and the pages and figures in results/ that are made of them."""
