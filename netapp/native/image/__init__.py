"""Builds boot images: one static ELF file, which a hypervisor boots and Linux runs as a process."""
