static float float_of_bits(uint32_t bits)
{
    union {
        float value;
        uint32_t bits;
    } both;
    both.bits = bits;
    return both.value;
}
