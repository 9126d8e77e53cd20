// An interpreter of netlists for many copies of a machine at a time (lanes.py).
//
// A slot holds one net: WORDS words of 64 lanes. What is to be computed comes as arrays of
// numbers that lanes_kernel.py makes and checks; no array is longer than it says.

#include <cstdint>
#include <cstring>

#ifndef WORDS
#define WORDS 8
#endif

namespace {

#if defined(__AVX512F__) && WORDS % 8 == 0
constexpr int VECTOR = 8;
#elif defined(__AVX2__) && WORDS % 4 == 0
constexpr int VECTOR = 4;
#elif WORDS % 2 == 0
constexpr int VECTOR = 2;
#else
constexpr int VECTOR = 1;
#endif
constexpr int VECTORS = WORDS / VECTOR;
typedef uint64_t Vector __attribute__((vector_size(8 * VECTOR), may_alias));
typedef uint64_t Word;

struct Slot {
  Vector part[VECTORS];
};

struct Rom {
  int32_t inputs, outputs;  // counts
  const int32_t* pins;      // slots: inputs, then outputs
  const Word* words;        // [1 << inputs]
};

struct Ram {
  int32_t address, width;
  const int32_t* pins;  // slots: address, outputs, write address, data, mask
  Slot* words;          // [1 << address][width]
};

struct Product {
  int32_t a, b;
  const int32_t* pins;  // slots: a, b, two signs, outputs
};

}  // namespace

extern "C" {

// How machines and test benches lie in memory; lanes_kernel.py has the same.
struct Machine {
  Slot* slots;
  const int32_t* code;
  int64_t code_size;
  const int32_t* loads;  // triples: slot, data, enable
  int64_t load_count;
  int64_t ring_count;  // the last ones of the loads
  Slot* copies;        // [ring_count]
  const Rom* roms;
  Ram* rams;
  int64_t ram_count;
  const Product* products;
};

struct Bench {
  Word lanes[WORDS];  // 1 where a lane counts
  const Slot* given;  // [words][in_bits]
  Slot* taken;        // [expected][out_bits]
  const int32_t* pins;  // slots: reset, in_valid, in_ready, out_valid, out_ready, in, out
  const uint8_t* gaps;  // [gap_count]: 1 where no word is begun to be offered
  const uint8_t* stalls;  // [stall_count]: 1 where out_ready is 0
  int64_t* in_clocks;   // [words]
  int64_t* out_clocks;  // [expected]
  int64_t words, expected, in_bits, out_bits, gap_count, stall_count;
  int64_t clock, in_count, out_count, offered;
  int64_t problem;  // 1: in_ready, 2: out_valid differs between lanes
};
}

namespace {

// Choose between the halves of a table by its last input.
template <int INPUTS>
inline Vector table(Word truth, const Vector* leaves, const Vector* inputs) {
  if constexpr (INPUTS == 1) {
    return leaves[truth & 3];
  } else {
    constexpr int HALF = 1 << (INPUTS - 1);
    Vector low = table<INPUTS - 1>(truth, leaves, inputs);
    Vector high = table<INPUTS - 1>(truth >> HALF, leaves, inputs);
    return low ^ (inputs[INPUTS - 1] & (low ^ high));
  }
}

template <int INPUTS>
const int32_t* tables(Slot* slots, const int32_t* code, int32_t count) {
  for (int32_t i = 0; i < count; i++, code += INPUTS + 3) {
    Word truth = static_cast<uint32_t>(code[1]) | static_cast<Word>(static_cast<uint32_t>(code[2])) << 32;
    for (int part = 0; part < VECTORS; part++) {
      Vector inputs[INPUTS];
      for (int k = 0; k < INPUTS; k++) inputs[k] = slots[code[3 + k]].part[part];
      Vector zero = inputs[0] ^ inputs[0];
      Vector leaves[4] = {zero, ~inputs[0], inputs[0], ~zero};
      slots[code[0]].part[part] = table<INPUTS>(truth, leaves, inputs);
    }
  }
  return code;
}

typedef Word __attribute__((may_alias)) AnyWord;

inline Word word(const Slot& slot, int number) {
  return reinterpret_cast<const AnyWord*>(slot.part)[number];
}

inline void set_word(Slot& slot, int number, Word value) {
  reinterpret_cast<AnyWord*>(slot.part)[number] = value;
}

inline void fill(Slot& slot, bool one) { std::memset(slot.part, one ? 255 : 0, sizeof slot.part); }

// The number on slots if it is the same in all lanes, else -1.
int64_t common(const Slot* slots, const int32_t* pins, int count) {
  int64_t number = 0;
  for (int k = 0; k < count; k++) {
    const Slot& slot = slots[pins[k]];
    Word first = word(slot, 0);
    if (first + 1 > 1) return -1;
    for (int i = 1; i < WORDS; i++)
      if (word(slot, i) != first) return -1;
    number |= static_cast<int64_t>(first & 1) << k;
  }
  return number;
}

// Rows and columns of 64 x 64 bits change places (Hacker's Delight 7-3, lowest bit first).
void transpose(Word rows[64]) {
  Word mask = 0x00000000FFFFFFFFull;
  for (int step = 32; step; step >>= 1, mask ^= mask << step)
    for (int k = 0; k < 64; k = ((k | step) + 1) & ~step) {
      Word change = ((rows[k] >> step) ^ rows[k | step]) & mask;
      rows[k] ^= change << step;
      rows[k | step] ^= change;
    }
}

// The numbers of 64 lanes on slots.
void numbers(const Slot* slots, const int32_t* pins, int count, int part, Word found[64]) {
  for (int k = 0; k < 64; k++) found[k] = k < count ? word(slots[pins[k]], part) : 0;
  transpose(found);
}

void put(Slot* slots, const int32_t* pins, int count, int part, Word values[64]) {
  transpose(values);
  for (int k = 0; k < count; k++) set_word(slots[pins[k]], part, values[k]);
}

void read(Slot* slots, const Rom& rom) {
  const int32_t* outputs = rom.pins + rom.inputs;
  int64_t place = common(slots, rom.pins, rom.inputs);
  if (place >= 0) {
    for (int k = 0; k < rom.outputs; k++) fill(slots[outputs[k]], rom.words[place] >> k & 1);
    return;
  }
  for (int part = 0; part < WORDS; part++) {
    Word values[64];
    numbers(slots, rom.pins, rom.inputs, part, values);
    for (Word& value : values) value = rom.words[value];
    put(slots, outputs, rom.outputs, part, values);
  }
}

void read(Slot* slots, const Ram& ram) {
  const int32_t* outputs = ram.pins + ram.address;
  int64_t place = common(slots, ram.pins, ram.address);
  if (place >= 0) {
    const Slot* found = ram.words + place * ram.width;
    for (int k = 0; k < ram.width; k++) slots[outputs[k]] = found[k];
    return;
  }
  for (int part = 0; part < WORDS; part++) {
    Word places[64];
    numbers(slots, ram.pins, ram.address, part, places);
    for (int k = 0; k < ram.width; k++) {
      Word bits = 0;
      for (int lane = 0; lane < 64; lane++)
        bits |= word(ram.words[places[lane] * ram.width + k], part) & (Word(1) << lane);
      set_word(slots[outputs[k]], part, bits);
    }
  }
}

void write(const Slot* slots, Ram& ram) {
  const int32_t* address = ram.pins + ram.address + ram.width;
  const int32_t* data = address + ram.address;
  const int32_t* mask = data + ram.width;
  Slot any = slots[mask[0]];
  for (int k = 1; k < ram.width; k++)
    if (mask[k] != mask[k - 1])
      for (int part = 0; part < VECTORS; part++) any.part[part] |= slots[mask[k]].part[part];
  bool none = true;
  for (int part = 0; part < WORDS; part++) none = none && word(any, part) == 0;
  if (none) return;
  int64_t place = common(slots, address, ram.address);
  if (place >= 0) {
    Slot* held = ram.words + place * ram.width;
    for (int k = 0; k < ram.width; k++)
      for (int part = 0; part < VECTORS; part++) {
        Vector old = held[k].part[part];
        held[k].part[part] = old ^ (slots[mask[k]].part[part] & (old ^ slots[data[k]].part[part]));
      }
    return;
  }
  for (int part = 0; part < WORDS; part++) {
    Word places[64];
    numbers(slots, address, ram.address, part, places);
    for (int k = 0; k < ram.width; k++) {
      Word given = word(slots[data[k]], part), written = word(slots[mask[k]], part);
      for (int lane = 0; lane < 64; lane++) {
        Word bit = written & (Word(1) << lane);
        if (!bit) continue;
        Slot& held = ram.words[places[lane] * ram.width + k];
        set_word(held, part, (word(held, part) & ~bit) | (given & bit));
      }
    }
  }
}

int64_t extended(Word value, int width, bool is_signed) {
  bool negative = is_signed && (value >> (width - 1) & 1);
  return static_cast<int64_t>(value) - (negative ? int64_t(1) << width : 0);
}

void multiply(Slot* slots, const Product& product) {
  int a = product.a, b = product.b;
  const int32_t* signs = product.pins + a + b;
  for (int part = 0; part < WORDS; part++) {
    Word left[64], right[64];
    numbers(slots, product.pins, a, part, left);
    numbers(slots, product.pins + a, b, part, right);
    Word sign_a = word(slots[signs[0]], part), sign_b = word(slots[signs[1]], part);
    for (int lane = 0; lane < 64; lane++)
      left[lane] = extended(left[lane], a, sign_a >> lane & 1) *
                   extended(right[lane], b, sign_b >> lane & 1);
    put(slots, signs + 2, a + b, part, left);
  }
}

void settle(Machine& machine) {
  Slot* slots = machine.slots;
  const int32_t* code = machine.code;
  const int32_t* end = code + machine.code_size;
  while (code < end) {
    int32_t kind = code[0], count = code[1];
    code += 2;
    switch (kind) {
      case 1: code = tables<1>(slots, code, count); break;
      case 2: code = tables<2>(slots, code, count); break;
      case 3: code = tables<3>(slots, code, count); break;
      case 4: code = tables<4>(slots, code, count); break;
      case 5: code = tables<5>(slots, code, count); break;
      case 6: code = tables<6>(slots, code, count); break;
      case 7: for (; count; count--) read(slots, machine.roms[*code++]); break;
      case 8: for (; count; count--) read(slots, machine.rams[*code++]); break;
      default: for (; count; count--) multiply(slots, machine.products[*code++]); break;
    }
  }
}

inline Slot loaded(const Slot* slots, const int32_t* load) {
  if (load[2] == 1) return slots[load[1]];
  Slot found;
  for (int part = 0; part < VECTORS; part++) {
    Vector old = slots[load[0]].part[part];
    found.part[part] = old ^ (slots[load[2]].part[part] & (old ^ slots[load[1]].part[part]));
  }
  return found;
}

void edge(Machine& machine) {
  Slot* slots = machine.slots;
  for (int64_t k = 0; k < machine.ram_count; k++) write(slots, machine.rams[k]);
  int64_t plain = machine.load_count - machine.ring_count;
  const int32_t* load = machine.loads;
  for (int64_t k = 0; k < plain; k++, load += 3) slots[load[0]] = loaded(slots, load);
  const int32_t* rings = load;
  for (int64_t k = 0; k < machine.ring_count; k++, load += 3)
    machine.copies[k] = loaded(slots, load);
  for (int64_t k = 0; k < machine.ring_count; k++) slots[rings[3 * k]] = machine.copies[k];
}

// 0 or 1 where a slot is the same in all lanes that count, else -1.
int uniform(const Slot& slot, const Word* lanes) {
  bool zeros = true, ones = true;
  for (int part = 0; part < WORDS; part++) {
    zeros = zeros && !(word(slot, part) & lanes[part]);
    ones = ones && !(~word(slot, part) & lanes[part]);
  }
  return ones ? 1 : zeros ? 0 : -1;
}

void drive(Slot* slots, int32_t pin, bool one) {
  if (pin >= 0) fill(slots[pin], one);
}

// What is on the data while nothing is offered is wrong on purpose: the next word inverted.
void offer(Slot* slots, const int32_t* pins, const Bench& bench, bool valid) {
  bool more = bench.in_count < bench.words;
  const Slot* next = bench.given + bench.in_count * bench.in_bits;
  for (int64_t k = 0; k < bench.in_bits; k++) {
    if (pins[k] < 0) continue;
    Slot& slot = slots[pins[k]];
    if (!more) {
      fill(slot, true);
      continue;
    }
    for (int part = 0; part < VECTORS; part++)
      slot.part[part] = valid ? next[k].part[part] : ~next[k].part[part];
  }
}

}  // namespace

extern "C" {

void lanes_settle(Machine* machine) { settle(*machine); }

void lanes_edge(Machine* machine) { edge(*machine); }

// Run a bench until all words came out, for some clocks at most. 1 when it has ended.
int lanes_stream(Machine* machine, Bench* bench, int64_t clocks) {
  Slot* slots = machine->slots;
  const int32_t* pins = bench->pins;
  const int32_t* in = pins + 5;
  const int32_t* out = in + bench->in_bits;
  for (int64_t left = clocks; left > 0; left--, bench->clock++) {
    if (bench->out_count == bench->expected || bench->problem) return 1;
    bool waits = !bench->offered && bench->gaps[bench->clock % bench->gap_count];
    bool valid = bench->in_count < bench->words && !waits;
    bool ready = !bench->stalls[bench->clock % bench->stall_count];
    bench->offered = valid;
    drive(slots, pins[0], false);
    drive(slots, pins[1], valid);
    drive(slots, pins[4], ready);
    offer(slots, in, *bench, valid);
    settle(*machine);
    int takes = uniform(slots[pins[2]], bench->lanes);
    int gives = uniform(slots[pins[3]], bench->lanes);
    bench->problem = takes < 0 ? 1 : gives < 0 ? 2 : 0;
    if (bench->problem) return 1;
    if (valid && takes) {
      bench->in_clocks[bench->in_count++] = bench->clock;
      bench->offered = 0;
    }
    if (gives && ready) {
      Slot* held = bench->taken + bench->out_count * bench->out_bits;
      for (int64_t k = 0; k < bench->out_bits; k++) held[k] = slots[out[k]];
      bench->out_clocks[bench->out_count++] = bench->clock;
    }
    edge(*machine);
  }
  return bench->out_count == bench->expected;
}
}
