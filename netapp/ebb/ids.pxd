# Well-known EbbIds. Dynamic ids begin at FIRST_DYNAMIC_ID; 0 names no Ebb.
cdef enum:
    EVENT_MANAGER_ID = 1
    TIMER_ID = 2
    BUFFER_POOL_ID = 3
    NETWORK_MANAGER_ID = 4
    TCP_ID = 5
    CONGESTION_CONTROL_ID = 6
    UDP_ID = 7
    FIRST_DYNAMIC_ID = 16
