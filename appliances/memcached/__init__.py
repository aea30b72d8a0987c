"""memcached, the text protocol, as memcached 1.6.18 speaks it."""

from appliances.memcached.appliance import Memcached as Memcached
