/// signed32
/* The number of the same bits: what wraps around is defined. */
static inline int32_t signed32(uint32_t value)
{
    return (value <= 0x7FFFFFFFu) ? (int32_t)value : (-(int32_t)(~value) - 1);
}

/// signed8
/* The number of the lowest 8 bits. */
static inline int8_t signed8(uint32_t value)
{
    const int32_t low = (int32_t)(value & 0xFFu);
    return (int8_t)((low < 128) ? low : (low - 256));
}

/// within
/* The number of low..high that is nearest to a value. */
static inline int32_t within(int32_t value, int32_t low, int32_t high)
{
    return (value < low) ? low : ((value > high) ? high : value);
}

/// requantize
/* clamp(((sum * factor + 2^(shift - 1)) >> shift) + zero, low, high), for shift in 1..46 and a
   factor that is not negative. 2^62 is added so that no negative number is shifted. */
static inline uint8_t requantize(int32_t sum, int32_t factor, int32_t shift, int32_t zero,
                                 int32_t low, int32_t high)
{
    const uint64_t product = (uint64_t)((int64_t)sum * factor);
    const uint64_t half = (uint64_t)1 << (shift - 1);
    const uint64_t lifted = product + half + ((uint64_t)1 << 62);
    const int64_t code = (int64_t)(lifted >> shift) - (int64_t)((uint64_t)1 << (62 - shift)) + zero;
    return (uint8_t)((code < low) ? low : ((code > high) ? high : code));
}

/// word
#ifdef USE_DSP
/* Four bytes at any address. */
static inline uint32_t word(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] | ((uint32_t)bytes[1] << 8) | ((uint32_t)bytes[2] << 16) |
           ((uint32_t)bytes[3] << 24);
}
#endif

/// dot: word
/* The sum of products. With Helium 16 at a time: VMLADAVA adds products of signed bytes, so of
   x - 128, and VADDVA what that leaves out; behind the end 0 is read. With the DSP extension four
   at a time: SMLAD adds two products of 16 bits, to which UXTB16 and SXTB16 extend every other
   byte. */
KERNEL int32_t dot(const uint8_t *x, const int8_t *w, int32_t count)
{
    int32_t total = 0;
    int32_t i = 0;
#if defined(USE_MVE)
    const uint8x16_t middle = vdupq_n_u8(128);
    int32_t weights = 0;
    for (; i < count; i += 16) {
        const mve_pred16_t inside = vctp8q((uint32_t)(count - i));
        const uint8x16_t a = veorq_u8(vldrbq_z_u8(&x[i], inside), middle);
        const int8x16_t b = vldrbq_z_s8(&w[i], inside);
        total = vmladavaq_s8(total, vreinterpretq_s8_u8(a), b);
        weights = vaddvaq_s8(weights, b);
    }
    total += 128 * weights;
#elif defined(USE_DSP)
    for (; i < count - 3; i += 4) {
        const uint32_t a = word(&x[i]);
        const uint32_t b = word((const uint8_t *)&w[i]);
        total = __smlad((int16x2_t)__uxtb16((uint8x4_t)a), __sxtb16((int8x4_t)b), total);
        total = __smlad((int16x2_t)__uxtb16((uint8x4_t)(a >> 8)), __sxtb16((int8x4_t)(b >> 8)),
                        total);
    }
#endif
    for (; i < count; i++) {
        total += (int32_t)x[i] * w[i];
    }
    return total;
}

/// sum_of_weights
/* The sum of weights. */
static inline int32_t sum_of_weights(const int8_t *w, int32_t count)
{
    int32_t total = 0;
    for (int32_t i = 0; i < count; i++) {
        total += w[i];
    }
    return total;
}

/// ones
/* The number of bits that are 1. */
static inline int32_t ones(uint32_t bits)
{
    uint32_t some = bits - ((bits >> 1) & 0x55555555u);
    some = (some & 0x33333333u) + ((some >> 2) & 0x33333333u);
    some = (some + (some >> 4)) & 0x0F0F0F0Fu;
    return (int32_t)((some * 0x01010101u) >> 24);
}

/// float64_parts
/* A float64 that is not negative: mantissa * 2^exponent, the mantissa of 53 bits, or 0. */
typedef struct {
    uint64_t mantissa;
    int32_t exponent;
} float64_parts;

/// leading_zeros
/* The number of bits above the highest that is 1, of a number that is not 0. */
static inline int32_t leading_zeros(uint64_t value)
{
    uint32_t high = (uint32_t)(value >> 32);
    int32_t zeros = 0;
    if (high == 0u) {
        high = (uint32_t)value;
        zeros = 32;
    }
    for (int32_t half = 16; half > 0; half /= 2) {
        if ((high >> (32 - half)) == 0u) {
            high <<= half;
            zeros += half;
        }
    }
    return zeros;
}

/// float64_of: float64_parts leading_zeros
/* mantissa * 2^exponent rounded to float64, ties to even. The lowest bit may stand for all that
   would follow it. */
static float64_parts float64_of(uint64_t mantissa, int32_t exponent)
{
    float64_parts found = {mantissa, exponent};
    uint64_t rest;
    int32_t zeros;
    if (mantissa == 0u) {
        return found;
    }
    zeros = leading_zeros(mantissa);
    found.mantissa <<= zeros;
    found.exponent -= zeros;
    rest = found.mantissa & 0x7FFu;
    found.mantissa >>= 11;
    found.exponent += 11;
    if ((rest > 0x400u) || ((rest == 0x400u) && ((found.mantissa & 1u) != 0u))) {
        found.mantissa++;
        if ((found.mantissa >> 53) != 0u) {
            found.mantissa >>= 1;
            found.exponent++;
        }
    }
    return found;
}

/// root_of: float64_of
/* sqrt(value + eps) as float64 computes it: the value, the sum and the root are rounded. eps is
   mantissa * 2^exponent, the mantissa of 53 bits or 0. */
static float64_parts root_of(int64_t value, uint64_t mantissa, int32_t exponent)
{
    float64_parts large = float64_of((uint64_t)value, 0);
    float64_parts small = {mantissa, exponent};
    uint64_t root = 0;
    uint64_t rest = 0;
    uint64_t low;
    int32_t apart;
    if ((large.mantissa == 0u) ||
        ((small.mantissa != 0u) && (small.exponent > large.exponent))) {
        const float64_parts kept = large;
        large = small;
        small = kept;
    }
    if (large.mantissa == 0u) {
        return large;
    }
    apart = large.exponent - small.exponent;
    low = small.mantissa << 10;
    if ((small.mantissa == 0u) || (apart > 63)) {
        low = (small.mantissa == 0u) ? 0u : 1u;
    } else if (apart > 0) {
        const uint64_t lost = low << (64 - apart);
        low = (low >> apart) | ((lost != 0u) ? 1u : 0u);
    } else {
        /* nothing is lost */
    }
    large = float64_of((large.mantissa << 10) + low, large.exponent - 10);
    if ((large.exponent % 2) != 0) {
        large.mantissa <<= 1;
        large.exponent--;
    }
    for (int32_t digit = 53; digit >= 0; digit--) {
        const uint64_t two = (digit < 27) ? 0u : ((large.mantissa >> (2 * digit - 54)) & 3u);
        const uint64_t tried = (root << 2) | 1u;
        rest = (rest << 2) | two;
        root <<= 1;
        if (rest >= tried) {
            rest -= tried;
            root |= 1u;
        }
    }
    return float64_of((root << 1) | ((rest != 0u) ? 1u : 0u), large.exponent / 2 - 28);
}

/// floor_of_quotient: float64_of
/* floor(value / divisor) as float64 computes it: a quotient that lies next to a whole number is
   rounded to it. */
static int64_t floor_of_quotient(int64_t value, float64_parts divisor)
{
    const uint64_t size = (value < 0) ? (~(uint64_t)value + 1u) : (uint64_t)value;
    const float64_parts number = float64_of(size, 0);
    const int32_t shift = number.exponent - divisor.exponent;
    uint64_t rest = number.mantissa;
    uint64_t slack = divisor.mantissa;
    int64_t whole = 0;
    int32_t digits = 0;
    if (size == 0u) {
        return 0;
    }
    if (shift < 0) {
        return (value < 0) ? -1 : 0;
    }
    for (int32_t i = 0; i <= shift; i++) {
        rest = (i > 0) ? (rest << 1) : rest;
        whole *= 2;
        if (rest >= divisor.mantissa) {
            rest -= divisor.mantissa;
            whole++;
        }
        digits += ((digits > 0) || (whole > 0)) ? 1 : 0;
    }
    slack = (digits > 0) ? (slack >> (54 - digits)) : 0u;
    if (value < 0) {
        return ((rest == 0u) || (rest <= slack)) ? -whole : (-whole - 1);
    }
    return ((divisor.mantissa - rest) <= slack) ? (whole + 1) : whole;
}

/// quotient_digits
/* The first digits of numerator / denominator, which lies in [1, 2), and a last one that is 1
   where more follow; the denominator is below 2^31. */
static uint64_t quotient_digits(uint32_t numerator, uint32_t denominator, int32_t digits)
{
    uint32_t rest = numerator;
    uint64_t found = 0;
    int32_t left = digits;
    while (left > 0) {
        const int32_t count = (left < 30) ? left : 30;
        uint32_t part = 0;
        for (int32_t i = 0; i < count; i++) {
            part <<= 1;
            if (rest >= denominator) {
                rest -= denominator;
                part |= 1u;
            }
            rest <<= 1;
        }
        found = (found << count) | part;
        left -= count;
    }
    return (found << 1) | ((rest != 0u) ? 1u : 0u);
}

/// float32_bits: leading_zeros
/* The bits of mantissa * 2^exponent rounded to float32, ties to even. The lowest bit may stand for
   all that would follow it. */
static uint32_t float32_bits(uint64_t mantissa, int32_t exponent)
{
    uint64_t high = mantissa;
    uint64_t rest;
    int32_t power = exponent + 63;
    int32_t dropped;
    uint32_t bits;
    if (mantissa == 0u) {
        return 0u;
    }
    dropped = leading_zeros(mantissa);
    high <<= dropped;
    power -= dropped;
    if (power > 127) {
        return 0x7F800000u;
    }
    dropped = (power >= -126) ? 40 : (40 - 126 - power);
    if (dropped > 64) {
        return 0u;
    }
    bits = (dropped == 64) ? 0u : (uint32_t)(high >> dropped);
    rest = (dropped == 64) ? high : (high << (64 - dropped));
    if ((rest > ((uint64_t)1 << 63)) || ((rest == ((uint64_t)1 << 63)) && ((bits & 1u) != 0u))) {
        bits++;
    }
    return (power >= -126) ? (bits + ((uint32_t)(power + 126) << 23)) : bits;
}

/// ratio: float64_of quotient_digits float32_bits
/* power / total divided in float64 and rounded to float32: its bits. The power is at most the
   total, which is below 2^31. */
static uint32_t ratio(uint32_t power, uint32_t total)
{
    uint32_t numerator = power;
    int32_t exponent = -55;
    float64_parts found;
    if (power == 0u) {
        return 0u;
    }
    while (numerator < total) {
        numerator <<= 1;
        exponent--;
    }
    found = float64_of(quotient_digits(numerator, total, 55), exponent);
    return float32_bits(found.mantissa, found.exponent);
}

/// probability
/* power / total in units of 2^-bits, rounded half up; 1 is the largest code. */
static int32_t probability(uint32_t power, uint32_t total, int32_t bits)
{
    uint64_t rest = ((uint64_t)power << (bits + 1)) + total;
    uint64_t part = (uint64_t)total << (bits + 1);
    const int32_t largest = (int32_t)(((uint32_t)1 << bits) - 1u);
    int32_t code = 0;
    for (int32_t i = 0; i <= bits; i++) {
        code *= 2;
        if (rest >= part) {
            rest -= part;
            code++;
        }
        part >>= 1;
    }
    return (code < largest) ? code : largest;
}

/// float32_parts: float64_parts
/* The magnitude of a finite float32 from its bits; the mantissa has 24 bits, or is 0. */
static float64_parts float32_parts(uint32_t bits)
{
    const uint32_t field = (bits >> 23) & 0xFFu;
    float64_parts found;
    found.mantissa = (field == 0u) ? (bits & 0x7FFFFFu) : ((bits & 0x7FFFFFu) | 0x800000u);
    found.exponent = (field == 0u) ? -149 : ((int32_t)field - 150);
    while ((found.mantissa != 0u) && ((found.mantissa >> 23) == 0u)) {
        found.mantissa <<= 1;
        found.exponent--;
    }
    return found;
}

/// quantize: float32_parts quotient_digits float32_bits within
/* A float32, given as its bits, as a code: x / scale rounded to float32, then to a whole number,
   ties to even; what is no number becomes 0. */
static uint8_t quantize(uint32_t x, uint32_t scale, int32_t zero)
{
    const uint32_t size = x & 0x7FFFFFFFu;
    const int32_t negative = ((x >> 31) != 0u) ? 1 : 0;
    const float64_parts above = float32_parts(size);
    const float64_parts below = float32_parts(scale);
    uint32_t numerator = (uint32_t)above.mantissa;
    int32_t exponent = above.exponent - below.exponent;
    int32_t whole;
    float64_parts rounded;
    if (size > 0x7F800000u) {
        return 0;
    }
    if (size == 0x7F800000u) {
        return (negative != 0) ? 0 : 255;
    }
    if (numerator < below.mantissa) {
        numerator <<= 1;
        exponent--;
    }
    rounded = float32_parts(float32_bits(quotient_digits(numerator, (uint32_t)below.mantissa, 30),
                                         exponent - 30));
    if (rounded.exponent >= -14) {
        whole = 512;
    } else if (rounded.exponent < -25) {
        whole = 0;
    } else {
        const uint64_t half = (uint64_t)1 << (-rounded.exponent - 1);
        const uint64_t rest = rounded.mantissa & ((half << 1) - 1u);
        whole = (int32_t)(rounded.mantissa >> (-rounded.exponent));
        if ((rest > half) || ((rest == half) && ((whole % 2) != 0))) {
            whole++;
        }
    }
    if (numerator == 0u) {
        whole = 0;
    }
    return (uint8_t)within(((negative != 0) ? -whole : whole) + zero, 0, 255);
}

/// dequantize: signed32 float32_parts float32_bits
/* The bits of (code - zero) * scale, both rounded to float32. */
static uint32_t dequantize(int32_t code, int32_t zero, uint32_t scale)
{
    const int32_t moved = signed32((uint32_t)code - (uint32_t)zero);
    const uint32_t size = (moved < 0) ? (~(uint32_t)moved + 1u) : (uint32_t)moved;
    const float64_parts factor = float32_parts(float32_bits(size, 0));
    const float64_parts unit = float32_parts(scale);
    const uint32_t bits =
        float32_bits(factor.mantissa * unit.mantissa, factor.exponent + unit.exponent);
    return (moved < 0) ? (bits | 0x80000000u) : bits;
}

/// high_limbs
/* What is left without the lowest limbs of 20 bits, rounded down: 2^63 is added so that no
   negative number is shifted. */
static inline int64_t high_limbs(int64_t value, int32_t limbs)
{
    const int32_t shift = 20 * limbs;
    const uint64_t lifted = (uint64_t)value + ((uint64_t)1 << 63);
    return (int64_t)(lifted >> shift) - (int64_t)((uint64_t)1 << (63 - shift));
}

/// low_limb
/* The lowest limb, from 0 on. */
static inline int64_t low_limb(int64_t value)
{
    return (int64_t)((uint64_t)value & 0xFFFFFu);
}

/// carry: high_limbs low_limb
/* Leave limbs from 0 to 2^20 - 1, but for the last. */
static void carry(int64_t *limbs, int32_t count)
{
    for (int32_t place = 0; place < count - 1; place++) {
        limbs[place + 1] += high_limbs(limbs[place], 1);
        limbs[place] = low_limb(limbs[place]);
    }
}

/// reached: high_limbs low_limb
/* The least number from -2^bits to 2^bits + 1 for which the sign of slope * number + level, times
   `turned`, is at least `least`. */
static int64_t reached(const int64_t *level, const int64_t *slope, int32_t limbs, int64_t turned,
                       int32_t bits, int32_t least)
{
    int64_t above = (int64_t)((uint64_t)1 << bits) + 1;
    int64_t below = -above;
    for (int32_t step = 0; step < bits + 2; step++) {
        const int64_t sum = below + above;
        const int64_t tried = (sum < 0) ? -((1 - sum) / 2) : (sum / 2);
        int64_t over = 0;
        int64_t some = 0;
        int64_t sign;
        for (int32_t place = 0; place < limbs; place++) {
            const int64_t limb = level[place] + slope[place] * tried + over;
            some += (low_limb(limb) != 0) ? 1 : 0;
            over = high_limbs(limb, 1);
        }
        sign = (over < 0) ? -1 : (((over != 0) || (some != 0)) ? 1 : 0);
        if (sign * turned >= least) {
            above = tried;
        } else {
            below = tried;
        }
    }
    return above;
}
