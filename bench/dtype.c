/* dtype.c: number formats by integer arithmetic on their bits, so that each conversion rounds once.
   (Going to a 16-bit format through float would round twice: 1 + 2^-8 + 2^-60 would become 1 in bf16.) */
#include "dtype.h"

#include <math.h>
#include <string.h>

const char *const dtype_names[DTYPE_COUNT + 1] = {
#define DTYPE(identifier, bytes, significand, integer) #identifier,
#include "dtype.def"
#undef DTYPE
    NULL};

struct dtype_facts {
    size_t bytes;
    int significand;
    bool integer;
};
static const struct dtype_facts facts[DTYPE_COUNT] = {
#define DTYPE(identifier, bytes, significand, integer) {bytes, significand, integer},
#include "dtype.def"
#undef DTYPE
};

size_t dtype_size(enum dtype dtype) {
    return facts[dtype].bytes;
}

bool dtype_is_integer(enum dtype dtype) {
    return facts[dtype].integer;
}

double dtype_epsilon(enum dtype dtype) {
    return facts[dtype].integer ? 0 : ldexp(1, 1 - facts[dtype].significand);
}

bool dtype_parse(const char *word, enum dtype *dtype) {
    for (int i = 0; i < DTYPE_COUNT; i++) {
        if (strcmp(word, dtype_names[i]) == 0) {
            *dtype = (enum dtype)i;
            return true;
        }
    }
    return false;
}

/* A format of 8 or 16 bits: sign, exponent, mantissa. largest: the code of the largest finite value; overflow: the code
   that larger magnitudes get. */
struct small_format {
    int exponent_bits, mantissa_bits;
    uint32_t largest, overflow, nan;
};
static const struct small_format format_bf16 = {8, 7, 0x7f7f, 0x7f80, 0x7fc0};
static const struct small_format format_fp16 = {5, 10, 0x7bff, 0x7c00, 0x7e00};
static const struct small_format format_fp8_e4m3 = {4, 3, 0x7e, 0x7e, 0x7f};
static const struct small_format format_fp8_e5m2 = {5, 2, 0x7b, 0x7c, 0x7f};

static inline uint32_t encode(struct small_format format, double value) {
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    uint32_t sign = (uint32_t)(bits >> 63) << (format.exponent_bits + format.mantissa_bits);
    bits &= UINT64_MAX >> 1;
    if (bits > UINT64_C(0x7ff) << 52)
        return sign | format.nan;
    int exponent = (int)(bits >> 52) - 1023;
    int smallest = 2 - (1 << (format.exponent_bits - 1)); /* exponent of the smallest normal number */
    int lost = 52 - format.mantissa_bits + (exponent < smallest ? smallest - exponent : 0);
    if (lost > 53) /* below half of the smallest subnormal; the double's own subnormals end here too */
        return sign;
    uint64_t significand = (bits & ((UINT64_C(1) << 52) - 1)) | UINT64_C(1) << 52;
    uint64_t kept = significand >> lost, rest = significand & ((UINT64_C(1) << lost) - 1);
    uint64_t half = UINT64_C(1) << (lost - 1);
    kept += rest > half || (rest == half && (kept & 1));
    /* The hidden bit of a normal number adds 1 to the exponent field, and so does a carry out of the rounding. */
    uint64_t code = kept + ((uint64_t)(exponent > smallest ? exponent - smallest : 0) << format.mantissa_bits);
    return sign | (code > format.largest ? format.overflow : (uint32_t)code);
}

static inline float float_of_bits(uint32_t bits) {
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* Moves exponent and mantissa into a float's place and corrects the bias by an exact product, which makes subnormal
   numbers come out right without a branch; what is above the largest finite code is then put right. */
static inline double decode(struct small_format format, uint32_t code) {
    int width = format.exponent_bits + format.mantissa_bits;
    uint32_t magnitude = code & ((UINT32_C(1) << width) - 1);
    uint32_t bias_difference = 127 - ((UINT32_C(1) << (format.exponent_bits - 1)) - 1);
    float scale = float_of_bits((127 + bias_difference) << 23);
    float value = float_of_bits(magnitude << (23 - format.mantissa_bits)) * scale;
    if (magnitude > format.largest)
        value = magnitude == format.overflow ? INFINITY : NAN;
    return code >> width & 1 ? -value : value;
}

static inline float round_to_tf32(double value) {
    /* The double is first cut to a float with the lost part noted in the last bit (rounding to odd), after which the
       rounding to 11 bits is the only one that counts. */
    float nearest = (float)value;
    uint32_t bits;
    memcpy(&bits, &nearest, sizeof bits);
    if (isnan(nearest) || isinf(value))
        return nearest;
    if (isinf(nearest) || fabs((double)nearest) > fabs(value))
        bits--;
    bits |= (double)float_of_bits(bits) != value;
    bits += 0xfff + (bits >> 13 & 1);
    return float_of_bits(bits & ~UINT32_C(0x1fff));
}

static inline double saturate(double value, double lowest, double largest) {
    if (isnan(value))
        return 0;
    return fmin(fmax(nearbyint(value), lowest), largest); /* nearbyint: ties to even in the default rounding mode */
}

static inline double load(enum dtype dtype, const void *array, size_t index) {
    switch (dtype) {
    case DTYPE_fp64:
        return ((const double *)array)[index];
    case DTYPE_fp32:
    case DTYPE_tf32:
        return ((const float *)array)[index];
    case DTYPE_bf16:
        return float_of_bits((uint32_t)((const uint16_t *)array)[index] << 16);
    case DTYPE_fp16:
        return decode(format_fp16, ((const uint16_t *)array)[index]);
    case DTYPE_fp8_e4m3:
        return decode(format_fp8_e4m3, ((const uint8_t *)array)[index]);
    case DTYPE_fp8_e5m2:
        return decode(format_fp8_e5m2, ((const uint8_t *)array)[index]);
    case DTYPE_int8:
        return ((const int8_t *)array)[index];
    case DTYPE_int32:
        return ((const int32_t *)array)[index];
    case DTYPE_uint8:
        return ((const uint8_t *)array)[index];
    case DTYPE_COUNT:
        break;
    }
    return NAN;
}

static inline void store(enum dtype dtype, void *array, size_t index, double value) {
    switch (dtype) {
    case DTYPE_fp64:
        ((double *)array)[index] = value;
        break;
    case DTYPE_fp32:
        ((float *)array)[index] = (float)value;
        break;
    case DTYPE_tf32:
        ((float *)array)[index] = round_to_tf32(value);
        break;
    case DTYPE_bf16:
        ((uint16_t *)array)[index] = (uint16_t)encode(format_bf16, value);
        break;
    case DTYPE_fp16:
        ((uint16_t *)array)[index] = (uint16_t)encode(format_fp16, value);
        break;
    case DTYPE_fp8_e4m3:
        ((uint8_t *)array)[index] = (uint8_t)encode(format_fp8_e4m3, value);
        break;
    case DTYPE_fp8_e5m2:
        ((uint8_t *)array)[index] = (uint8_t)encode(format_fp8_e5m2, value);
        break;
    case DTYPE_int8:
        ((int8_t *)array)[index] = (int8_t)saturate(value, INT8_MIN, INT8_MAX);
        break;
    case DTYPE_int32:
        ((int32_t *)array)[index] = (int32_t)saturate(value, INT32_MIN, INT32_MAX);
        break;
    case DTYPE_uint8:
        ((uint8_t *)array)[index] = (uint8_t)saturate(value, 0, UINT8_MAX);
        break;
    case DTYPE_COUNT:
        break;
    }
}

double dtype_load(enum dtype dtype, const void *array, size_t index) {
    return load(dtype, array, index);
}

void dtype_store(enum dtype dtype, void *array, size_t index, double value) {
    store(dtype, array, index, value);
}

/* One loop a format: with the format a constant in each, the compiler resolves the switch and vectorizes. */
void dtype_load_row(enum dtype dtype, const void *array, size_t first, size_t count, double *values) {
    switch (dtype) {
#define DTYPE(identifier, bytes, significand, integer)                                                                 \
    case DTYPE_##identifier:                                                                                           \
        for (size_t i = 0; i < count; i++)                                                                             \
            values[i] = load(DTYPE_##identifier, array, first + i);                                                    \
        break;
#include "dtype.def"
#undef DTYPE
    case DTYPE_COUNT:
        break;
    }
}

void dtype_store_row(enum dtype dtype, void *array, size_t first, size_t count, const double *values) {
    switch (dtype) {
#define DTYPE(identifier, bytes, significand, integer)                                                                 \
    case DTYPE_##identifier:                                                                                           \
        for (size_t i = 0; i < count; i++)                                                                             \
            store(DTYPE_##identifier, array, first + i, values[i]);                                                    \
        break;
#include "dtype.def"
#undef DTYPE
    case DTYPE_COUNT:
        break;
    }
}
