// Integers of any width for simulation with a plain C++ compiler: ap_int<W> and ap_uint<W>.
//
// Written for actc from the documented behaviour of the types of this name in HLS tools; of their
// interface this has what the generated code uses, no more. For synthesis the tools' own header of
// this name is taken; do not add this folder to their include path.
//
// Values lie in words of 64 bits, lowest first; the bits of the last one beyond W repeat the sign
// (ap_int) or are zero (ap_uint), so that every word beyond the last is known.
#ifndef ACTC_SIMULATION_AP_INT_H
#define ACTC_SIMULATION_AP_INT_H

#include <stdint.h>

// Tables of constants are computed while they are compiled: as a function that fills them when the
// program begins, 131,072 of them take g++ -O1 more than four minutes.
#if __cplusplus >= 201402L
#define ACTC_CONSTANT constexpr
#else
#define ACTC_CONSTANT
#endif

template <int W, bool S>
struct ap_int_base;

// Bits hi..lo of a value, to be read or assigned.
template <int W, bool S>
struct ap_range_ref {
  ap_int_base<W, S>& value;
  int hi, lo;

  ap_range_ref(ap_int_base<W, S>& value, int hi, int lo) : value(value), hi(hi), lo(lo) {}

  template <int W2, bool S2>
  ap_range_ref& operator=(const ap_int_base<W2, S2>& other) {
    value.put(hi, lo, other);
    return *this;
  }
};

// One bit of a value, to be read or assigned.
template <int W, bool S>
struct ap_bit_ref {
  ap_int_base<W, S>& value;
  int place;

  ap_bit_ref(ap_int_base<W, S>& value, int place) : value(value), place(place) {}

  operator bool() const { return value.test(place); }
  ap_bit_ref& operator=(bool bit) {
    value.put_bit(place, bit);
    return *this;
  }
};

template <int W, bool S>
struct ap_int_base {
  enum { WORDS = (W + 63) / 64, REST = W % 64 };
  uint64_t words[WORDS];

  ACTC_CONSTANT ap_int_base() : words() {}

  ACTC_CONSTANT void set(uint64_t low, bool negative) {
    words[0] = low;
    for (int i = 1; i < WORDS; i++) words[i] = negative ? ~uint64_t(0) : 0;
    wrap();
  }

  template <int W2, bool S2>
  ACTC_CONSTANT void set(const ap_int_base<W2, S2>& other) {
    for (int i = 0; i < WORDS; i++) words[i] = other.word(i);
    wrap();
  }

  // Digits of a number, with "0x" in front where the radix is 16.
  ACTC_CONSTANT void parse(const char* digits, int radix) {
    for (int i = 0; i < WORDS; i++) words[i] = 0;
    if (radix == 16 && digits[0] == '0' && digits[1] == 'x') digits += 2;
    for (; *digits; digits++) {
      uint64_t carry = uint64_t(*digits <= '9' ? *digits - '0' : (*digits | 32) - 'a' + 10);
      for (int i = 0; i < WORDS; i++) {
        const uint64_t low = (words[i] & 0xffffffffu) * uint64_t(radix) + carry;
        const uint64_t high = (words[i] >> 32) * uint64_t(radix) + (low >> 32);
        words[i] = high << 32 | (low & 0xffffffffu);
        carry = high >> 32;
      }
    }
    wrap();
  }

  // Makes the bits beyond W what they stand for.
  ACTC_CONSTANT void wrap() {
    if (REST != 0) {
      const int unused = (64 - REST) % 64;
      const uint64_t moved = words[WORDS - 1] << unused;
      words[WORDS - 1] = S ? uint64_t(int64_t(moved) >> unused) : moved >> unused;
    }
  }

  ACTC_CONSTANT bool negative() const { return S && (words[WORDS - 1] >> 63); }
  ACTC_CONSTANT uint64_t word(int i) const {
    return i < WORDS ? words[i] : negative() ? ~uint64_t(0) : 0;
  }
  bool test(int place) const { return (words[place / 64] >> (place % 64)) & 1; }

  void put_bit(int place, bool bit) {
    const uint64_t mask = uint64_t(1) << (place % 64);
    if (bit)
      words[place / 64] |= mask;
    else
      words[place / 64] &= ~mask;
    wrap();
  }

  // Bits hi..lo, the lowest first.
  template <int W2, bool S2>
  void get(int hi, int lo, ap_int_base<W2, S2>& found) const {
    const int count = hi - lo + 1, shift = lo % 64;
    for (int i = 0; i < ap_int_base<W2, S2>::WORDS; i++) {
      const int from = lo / 64 + i;
      uint64_t part = 64 * i < count ? word(from) >> shift : 0;
      if (shift && 64 * i < count) part |= word(from + 1) << (64 - shift);
      const int rest = count - 64 * i;
      if (rest > 0 && rest < 64) part &= (uint64_t(1) << rest) - 1;
      found.words[i] = part;
    }
    found.wrap();
  }

  template <int W2, bool S2>
  void put(int hi, int lo, const ap_int_base<W2, S2>& other) {
    int done = 0;
    const int count = hi - lo + 1;
    while (done < count) {
      const int place = lo + done, shift = place % 64, from = done % 64;
      int part = 64 - (shift > from ? shift : from);
      if (part > count - done) part = count - done;
      const uint64_t mask = (part == 64 ? ~uint64_t(0) : (uint64_t(1) << part) - 1);
      const uint64_t bits = (other.word(done / 64) >> from) & mask;
      words[place / 64] = (words[place / 64] & ~(mask << shift)) | bits << shift;
      done += part;
    }
    wrap();
  }

  ap_range_ref<W, S> range(int hi, int lo) { return ap_range_ref<W, S>(*this, hi, lo); }
  ap_range_ref<W, S> range(int hi, int lo) const {
    return ap_range_ref<W, S>(const_cast<ap_int_base&>(*this), hi, lo);
  }
  ap_bit_ref<W, S> operator[](int place) { return ap_bit_ref<W, S>(*this, place); }
  bool operator[](int place) const { return test(place); }

  int to_int() const { return int(words[0]); }
  uint64_t to_uint64() const { return words[0]; }
};

template <int W>
struct ap_uint;

template <int W>
struct ap_int : ap_int_base<W, true> {
  ACTC_CONSTANT ap_int() {}
  ACTC_CONSTANT ap_int(int x) { this->set(uint64_t(int64_t(x)), x < 0); }
  ACTC_CONSTANT ap_int(unsigned x) { this->set(x, false); }
  ACTC_CONSTANT ap_int(long x) { this->set(uint64_t(int64_t(x)), x < 0); }
  ACTC_CONSTANT ap_int(unsigned long x) { this->set(x, false); }
  ACTC_CONSTANT ap_int(long long x) { this->set(uint64_t(x), x < 0); }
  ACTC_CONSTANT ap_int(unsigned long long x) { this->set(x, false); }
  ACTC_CONSTANT ap_int(const char* digits, int radix) { this->parse(digits, radix); }
  template <int W2, bool S2>
  ACTC_CONSTANT ap_int(const ap_int_base<W2, S2>& other) {
    this->set(other);
  }
  template <int W2, bool S2>
  ap_int(const ap_range_ref<W2, S2>& part) {
    part.value.get(part.hi, part.lo, *this);
  }
};

template <int W>
struct ap_uint : ap_int_base<W, false> {
  ACTC_CONSTANT ap_uint() {}
  ACTC_CONSTANT ap_uint(bool x) { this->set(x, false); }
  ACTC_CONSTANT ap_uint(int x) { this->set(uint64_t(int64_t(x)), x < 0); }
  ACTC_CONSTANT ap_uint(unsigned x) { this->set(x, false); }
  ACTC_CONSTANT ap_uint(long x) { this->set(uint64_t(int64_t(x)), x < 0); }
  ACTC_CONSTANT ap_uint(unsigned long x) { this->set(x, false); }
  ACTC_CONSTANT ap_uint(long long x) { this->set(uint64_t(x), x < 0); }
  ACTC_CONSTANT ap_uint(unsigned long long x) { this->set(x, false); }
  ACTC_CONSTANT ap_uint(const char* digits, int radix) { this->parse(digits, radix); }
  template <int W2, bool S2>
  ACTC_CONSTANT ap_uint(const ap_int_base<W2, S2>& other) {
    this->set(other);
  }
  template <int W2, bool S2>
  ap_uint(const ap_range_ref<W2, S2>& part) {
    part.value.get(part.hi, part.lo, *this);
  }
};

// Types of results: as wide as every result needs.
template <int W, bool S>
struct ap_of {
  typedef ap_uint<W> type;
};
template <int W>
struct ap_of<W, true> {
  typedef ap_int<W> type;
};
template <int W1, bool S1, int W2, bool S2>
struct ap_results {
  enum {
    LEFT = W1 + (S2 && !S1),
    RIGHT = W2 + (S1 && !S2),
    WIDER = LEFT > RIGHT ? LEFT : RIGHT,
    WIDEST = W1 > W2 ? W1 : W2
  };
  typedef typename ap_of<WIDER + 1, S1 || S2>::type sum;
  typedef typename ap_of<WIDER + 1, true>::type difference;
  typedef typename ap_of<W1 + W2, S1 || S2>::type product;
  typedef typename ap_of<WIDER, S1 || S2>::type bits;
};

template <int W1, bool S1, int W2, bool S2>
typename ap_results<W1, S1, W2, S2>::sum operator+(const ap_int_base<W1, S1>& a,
                                                   const ap_int_base<W2, S2>& b) {
  typename ap_results<W1, S1, W2, S2>::sum found;
  uint64_t carry = 0;
  for (int i = 0; i < found.WORDS; i++) {
    const uint64_t partial = a.word(i) + carry;
    found.words[i] = partial + b.word(i);
    carry = (partial < carry) | (found.words[i] < partial);
  }
  found.wrap();
  return found;
}

template <int W1, bool S1, int W2, bool S2>
typename ap_results<W1, S1, W2, S2>::difference operator-(const ap_int_base<W1, S1>& a,
                                                          const ap_int_base<W2, S2>& b) {
  typename ap_results<W1, S1, W2, S2>::difference found;
  uint64_t borrow = 0;
  for (int i = 0; i < found.WORDS; i++) {
    const uint64_t x = a.word(i), y = b.word(i);
    found.words[i] = x - y - borrow;
    borrow = x < y || (x == y && borrow);
  }
  found.wrap();
  return found;
}

template <int W1, bool S1, int W2, bool S2>
typename ap_results<W1, S1, W2, S2>::product operator*(const ap_int_base<W1, S1>& a,
                                                       const ap_int_base<W2, S2>& b) {
  typename ap_results<W1, S1, W2, S2>::product found;
  const int halves = 2 * found.WORDS;
  for (int i = 0; i < halves; i++) {
    const uint64_t x = a.word(i / 2) >> (32 * (i % 2)) & 0xffffffffu;
    uint64_t carry = 0;
    for (int j = 0; i + j < halves; j++) {
      const uint64_t y = b.word(j / 2) >> (32 * (j % 2)) & 0xffffffffu;
      const int shift = 32 * ((i + j) % 2);
      uint64_t& word = found.words[(i + j) / 2];
      const uint64_t sum = (word >> shift & 0xffffffffu) + x * y + carry;
      word = (word & ~(uint64_t(0xffffffffu) << shift)) | (sum & 0xffffffffu) << shift;
      carry = sum >> 32;
    }
  }
  found.wrap();
  return found;
}

#define ACTC_BITWISE(OP)                                                          \
  template <int W1, bool S1, int W2, bool S2>                                     \
  typename ap_results<W1, S1, W2, S2>::bits operator OP(                          \
      const ap_int_base<W1, S1>& a, const ap_int_base<W2, S2>& b) {               \
    typename ap_results<W1, S1, W2, S2>::bits found;                              \
    for (int i = 0; i < found.WORDS; i++) found.words[i] = a.word(i) OP b.word(i); \
    found.wrap();                                                                 \
    return found;                                                                 \
  }
ACTC_BITWISE(&)
ACTC_BITWISE(|)
ACTC_BITWISE(^)
#undef ACTC_BITWISE

template <int W, bool S>
typename ap_of<W, S>::type operator~(const ap_int_base<W, S>& a) {
  typename ap_of<W, S>::type found;
  for (int i = 0; i < found.WORDS; i++) found.words[i] = ~a.words[i];
  found.wrap();
  return found;
}

// -1, 0, 1: a is less than, equal to, greater than b, as numbers.
template <int W1, bool S1, int W2, bool S2>
int ap_compare(const ap_int_base<W1, S1>& a, const ap_int_base<W2, S2>& b) {
  if (a.negative() != b.negative()) return a.negative() ? -1 : 1;
  const int count = int(a.WORDS) > int(b.WORDS) ? int(a.WORDS) : int(b.WORDS);
  for (int i = count - 1; i >= 0; i--)
    if (a.word(i) != b.word(i)) return a.word(i) < b.word(i) ? -1 : 1;
  return 0;
}

#define ACTC_COMPARISON(OP)                                                             \
  template <int W1, bool S1, int W2, bool S2>                                           \
  bool operator OP(const ap_int_base<W1, S1>& a, const ap_int_base<W2, S2>& b) {        \
    return ap_compare(a, b) OP 0;                                                       \
  }
ACTC_COMPARISON(==)
ACTC_COMPARISON(!=)
ACTC_COMPARISON(<)
ACTC_COMPARISON(<=)
ACTC_COMPARISON(>)
ACTC_COMPARISON(>=)
#undef ACTC_COMPARISON

#endif
