"""A load generator for memcached servers, with the options and reports of memaslap."""
