/* host_device.h: what host_device.c and host_device.cu share. */
#ifndef COLLECTIVES_HOST_DEVICE_H
#define COLLECTIVES_HOST_DEVICE_H

#include "collectives/lib/collective.h"

enum { AXIS_DIRECTION = COLLECTIVE_BYTES + 1, AXIS_MEMORY };
enum { DIRECTION_TO_DEVICE, DIRECTION_TO_HOST, DIRECTION_BOTH };
enum { MEMORY_PINNED, MEMORY_PAGEABLE };

static inline bool goes_to_device(const struct run *run) { return run->value[AXIS_DIRECTION] != DIRECTION_TO_HOST; }
static inline bool goes_to_host(const struct run *run) { return run->value[AXIS_DIRECTION] != DIRECTION_TO_DEVICE; }

#endif
