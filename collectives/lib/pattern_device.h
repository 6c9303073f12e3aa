/* pattern_device.h: the data of pattern.h made and compared on a device. */
#ifndef COLLECTIVES_PATTERN_DEVICE_H
#define COLLECTIVES_PATTERN_DEVICE_H

#include "collectives/lib/pattern.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Enqueues on run->stream: elements 0 .. count-1 of a rank's input into an array on the device. */
void pattern_device_fill(struct run *run, const struct pattern *pattern, int rank, void *array, size_t count);

/* The largest |array[j] - expected| / scale over 0 <= j < count, an array on the device; NaN counts as infinity.
   Synchronizes run->stream. `scratch` is one double on the device. */
double pattern_device_error(struct run *run, const struct pattern *pattern, const struct origin *origin,
                            const void *array, size_t count, double *scratch);

#ifdef __cplusplus
}
#endif
#endif
