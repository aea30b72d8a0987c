"""A machine without an operating system as a platform: the kernel, what stands on it, and the boot image's builder."""
