/* Tells AddressSanitizer, which cannot see inside a pool, which bytes of it are in use. Nothing in a release build. */
#ifndef NETAPP_IOBUF_POISON_H
#define NETAPP_IOBUF_POISON_H
#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#define NETAPP_REDZONE 64u
static inline void netapp_poison(const void *start, size_t length) { __asan_poison_memory_region(start, length); }
static inline void netapp_unpoison(const void *start, size_t length) { __asan_unpoison_memory_region(start, length); }
#else
#define NETAPP_REDZONE 0u
static inline void netapp_poison(const void *start, size_t length) { (void)start; (void)length; }
static inline void netapp_unpoison(const void *start, size_t length) { (void)start; (void)length; }
#endif
#endif
