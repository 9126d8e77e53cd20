// Windows over a stream of rows, read from a ring of rows in memory.
//
// The stream gives a sample row by row, column by column, and of each position WORDS words.
// For each row and column of the result, and for each part of a position, the words of the
// part are read at all places of the kernel, REPEAT times over: a group of KERNEL_ROWS x
// KERNEL_COLUMNS x INNER clocks. A row of results begins when its rows are stored, a group
// when `credit` says that its results have room; a group that has begun does not stop.
// Of each place all words come, or, with PLACES_FIRST, of each word all places.
//
// Rows and columns are counted from the padding on: row TOP is the first of the sample. The
// ring goes on from sample to sample, so its rows need not begin with a sample.
module actc_window #(
  parameter WIDTH = 8,                // bits of a word
  parameter [31:0] WORDS = 1,         // of a position
  parameter [31:0] ROWS = 1,          // of a sample
  parameter [31:0] COLUMNS = 1,
  parameter [31:0] KERNEL_ROWS = 1,
  parameter [31:0] KERNEL_COLUMNS = 1,
  parameter [31:0] ROW_STRIDE = 1,
  parameter [31:0] COLUMN_STRIDE = 1,
  parameter [31:0] ROW_DILATION = 1,
  parameter [31:0] COLUMN_DILATION = 1,
  parameter [31:0] TOP = 0,           // padding in front of the first row
  parameter [31:0] LEFT = 0,
  parameter [31:0] OUT_ROWS = 1,
  parameter [31:0] OUT_COLUMNS = 1,
  parameter [31:0] INNER = 1,         // words of a part
  parameter [31:0] REPEAT = 1,
  parameter [31:0] PARTS = 1,         // of a position
  parameter PLACES_FIRST = 0,         // order of a group
  parameter [31:0] SLOTS = 2,         // rows in the ring: those of a window at least
  parameter BLOCK = 1,                // where the ring is: see actc_ring
  parameter LUTRAM = 0
) (
  input                  clk,
  input                  reset,
  input                  in_valid,
  output                 in_ready,
  input      [WIDTH-1:0] in_data,
  input                  credit,
  output                 take,     // a group begins, and takes its room
  output                 busy,     // a group begins or goes on in the next clock
  output                 able,     // one could begin, with credit
  output reg             read,     // a clock before its data
  output reg             valid,    // what follows counts
  output reg             first,    // of a group
  output reg             last,
  output reg             outside,  // in the padding: data means nothing
  output     [WIDTH-1:0] data
);
  localparam [31:0] ROW_WORDS = COLUMNS * WORDS;
  localparam [31:0] TOTAL = SLOTS * ROW_WORDS;
  localparam [31:0] ROW_SPAN = (KERNEL_ROWS - 1) * ROW_DILATION;
  localparam [31:0] COLUMN_SPAN = (KERNEL_COLUMNS - 1) * COLUMN_DILATION;

  // Widths of counters.
  localparam AW = TOTAL > 1 ? $clog2(TOTAL) : 1;
  localparam VW = $clog2(ROWS + TOP + SLOTS + ROW_SPAN + OUT_ROWS * ROW_STRIDE + 1) + 1;
  localparam UW = $clog2(COLUMNS + LEFT + COLUMN_SPAN + OUT_COLUMNS * COLUMN_STRIDE + 1) + 1;
  localparam SW = $clog2(SLOTS + 1);
  localparam RW = ROW_WORDS > 1 ? $clog2(ROW_WORDS) : 1;
  localparam IW = INNER > 1 ? $clog2(INNER) : 1;
  localparam XW = KERNEL_COLUMNS > 1 ? $clog2(KERNEL_COLUMNS) : 1;
  localparam YW = KERNEL_ROWS > 1 ? $clog2(KERNEL_ROWS) : 1;
  localparam NW = REPEAT > 1 ? $clog2(REPEAT) : 1;
  localparam PW = PARTS > 1 ? $clog2(PARTS) : 1;
  localparam CW = OUT_COLUMNS > 1 ? $clog2(OUT_COLUMNS) : 1;
  localparam LW = OUT_ROWS > 1 ? $clog2(OUT_ROWS) : 1;

  // Constants in these widths.
  localparam [31:0] C_TOTAL_1 = TOTAL - 1, C_ROW_1 = ROW_WORDS - 1, C_INNER_1 = INNER - 1,
    C_X_1 = KERNEL_COLUMNS - 1, C_Y_1 = KERNEL_ROWS - 1, C_REPEAT_1 = REPEAT - 1,
    C_PARTS_1 = PARTS - 1, C_COLUMNS_1 = OUT_COLUMNS - 1, C_ROWS_1 = OUT_ROWS - 1,
    C_LAST_ROW = ROWS + TOP - 1, C_LAST_COLUMN = COLUMNS + LEFT - 1;
  // Steps along the ring, which is a circle.
  localparam [31:0] C_LINE_STEP = (ROW_DILATION * ROW_WORDS) % TOTAL,
    C_TOP_STEP = (ROW_STRIDE * ROW_WORDS) % TOTAL,
    C_SAMPLE_STEP = (ROWS * ROW_WORDS) % TOTAL,
    C_START = (TOTAL - (TOP * ROW_WORDS) % TOTAL) % TOTAL;
  // Steps within a row; what lies left of it is negative, and outside.
  localparam [31:0] C_ORIGIN = 32'd0 - LEFT * WORDS,
    C_NEXT_PLACE = COLUMN_DILATION * WORDS - INNER + 1,
    C_PLACE = COLUMN_DILATION * WORDS,
    C_NEXT_COLUMN = COLUMN_STRIDE * WORDS - (PARTS - 1) * INNER;

  function [AW-1:0] along(input [AW-1:0] from, input [AW-1:0] step);
    reg [AW:0] sum;
    reg [AW:0] beyond;
    begin
      sum = {1'b0, from} + {1'b0, step};
      beyond = sum - {1'b0, C_TOTAL_1[AW-1:0]} - 1'b1;
      along = beyond[AW] ? sum[AW-1:0] : beyond[AW-1:0];
    end
  endfunction

  // Writing: rows go into the ring as long as there are slots.
  reg [AW-1:0] to = {AW{1'b0}};
  reg [RW-1:0] column_in = {RW{1'b0}};  // words of the row so far
  reg [SW-1:0] stored = {SW{1'b0}};     // complete rows
  assign in_ready = stored != SLOTS[SW-1:0];
  wire write = in_valid & in_ready;
  wire row_in = write & (column_in == C_ROW_1[RW-1:0]);

  // Reading: where the window is.
  reg running = 1'b0;
  reg releasing = 1'b0;
  reg flush = 1'b0;                     // all rows of the sample are released
  reg [VW-1:0] oldest = {VW{1'b0}};     // row of the sample in the ring's oldest slot
  reg [VW-1:0] top = {VW{1'b0}};        // of the window
  reg [VW-1:0] row = {VW{1'b0}};        // that is read
  reg [UW-1:0] left = {UW{1'b0}};
  reg [UW-1:0] column = {UW{1'b0}};
  reg [AW-1:0] sample_line = C_START[AW-1:0];
  reg [AW-1:0] top_line = C_START[AW-1:0];  // where the window's first row begins
  reg [AW-1:0] line = C_START[AW-1:0];
  reg [AW-1:0] origin = C_ORIGIN[AW-1:0];   // of the window in a row
  reg [AW-1:0] offset = C_ORIGIN[AW-1:0];
  reg [IW-1:0] word = {IW{1'b0}};
  reg [XW-1:0] x = {XW{1'b0}};
  reg [YW-1:0] y = {YW{1'b0}};
  reg [NW-1:0] turn = {NW{1'b0}};
  reg [PW-1:0] part = {PW{1'b0}};
  reg [CW-1:0] out_column = {CW{1'b0}};
  reg [LW-1:0] out_row = {LW{1'b0}};

  wire end_word = word == C_INNER_1[IW-1:0];
  wire next_x = PLACES_FIRST != 0 ? 1'b1 : end_word;
  wire end_x = next_x & (x == C_X_1[XW-1:0]);
  wire end_y = end_x & (y == C_Y_1[YW-1:0]);
  wire next_word = PLACES_FIRST != 0 ? end_y : 1'b1;
  wire end_group = end_y & end_word;
  wire end_turn = end_group & (turn == C_REPEAT_1[NW-1:0]);
  wire end_part = end_turn & (part == C_PARTS_1[PW-1:0]);
  wire end_row = end_part & (out_column == C_COLUMNS_1[CW-1:0]);
  wire end_sample = end_row & (out_row == C_ROWS_1[LW-1:0]);

  wire [VW-1:0] reach = top + ROW_SPAN[VW-1:0];
  wire [VW-1:0] lowest = reach > C_LAST_ROW[VW-1:0] ? C_LAST_ROW[VW-1:0] : reach;
  // a clock late, while rows only become more: a group may begin a clock later
  reg rows_there = 1'b0;
  reg settled = 1'b0;  // rows_there is about the present row
  assign able = ~running & ~releasing & settled & rows_there;
  wire begins = able & credit;
  wire goes_on = running & end_group & ~end_row & credit;
  assign take = begins | goes_on;
  assign busy = take | (running & ~end_group);

  // rows that no window reads are released once they are stored
  wire passed = (oldest != ROWS[VW-1:0]) & (flush | (oldest + TOP[VW-1:0] < top));
  wire release_row = releasing & passed & (stored != {SW{1'b0}});

  wire [AW-1:0] next_top_line = along(top_line, C_TOP_STEP[AW-1:0]);
  wire [AW-1:0] next_sample_line = along(sample_line, C_SAMPLE_STEP[AW-1:0]);
  wire [AW-1:0] new_line = end_sample ? next_sample_line : next_top_line;
  wire [IW-1:0] unused;  // zeros
  wire [AW-1:0] words_before;
  assign {unused, words_before} = {{AW{1'b0}}, word};
  wire [AW-1:0] base = PLACES_FIRST != 0 ? origin + words_before : origin;
  wire [AW-1:0] next_part = origin + INNER[AW-1:0];
  wire [AW-1:0] next_column = origin + C_NEXT_COLUMN[AW-1:0];

  // What is read, a clock later.
  reg [AW-1:0] from = {AW{1'b0}};
  reg first_read = 1'b0, last_read = 1'b0, outside_read = 1'b0;
  initial read = 1'b0;
  initial valid = 1'b0;
  initial first = 1'b0;
  initial last = 1'b0;
  initial outside = 1'b0;

  always @(posedge clk) begin
    if (write) begin
      to <= to == C_TOTAL_1[AW-1:0] ? {AW{1'b0}} : to + 1'b1;
      column_in <= row_in ? {RW{1'b0}} : column_in + 1'b1;
    end
    if (row_in & ~release_row) stored <= stored + 1'b1;
    if (release_row & ~row_in) stored <= stored - 1'b1;

    rows_there <= oldest + {{VW-SW{1'b0}}, stored} + TOP[VW-1:0] > lowest;
    settled <= ~running & ~releasing;

    if (releasing) begin
      if (release_row) oldest <= oldest + 1'b1;
      else if (~passed) begin
        releasing <= 1'b0;
        flush <= 1'b0;
        if (flush) oldest <= {VW{1'b0}};
      end
    end

    if (begins) running <= 1'b1;
    else if (running & end_group & ~goes_on) running <= 1'b0;

    if (running) begin
      if (next_word) word <= end_word ? {IW{1'b0}} : word + 1'b1;
      if (next_x) begin
        x <= end_x ? {XW{1'b0}} : x + 1'b1;
        column <= column + COLUMN_DILATION[UW-1:0];
      end
      if (end_x) begin
        y <= end_y ? {YW{1'b0}} : y + 1'b1;
        row <= row + ROW_DILATION[VW-1:0];
        line <= along(line, C_LINE_STEP[AW-1:0]);
        column <= left;
      end
      if (PLACES_FIRST != 0) offset <= offset + C_PLACE[AW-1:0];
      else offset <= offset + (end_word ? C_NEXT_PLACE[AW-1:0] : {{AW-1{1'b0}}, 1'b1});
      if (end_x) offset <= base;
      if (end_y) begin
        row <= top;
        line <= top_line;
        offset <= end_group ? origin : base + 1'b1;
      end
      if (end_group) turn <= end_turn ? {NW{1'b0}} : turn + 1'b1;
      if (end_turn) begin
        part <= end_part ? {PW{1'b0}} : part + 1'b1;
        origin <= next_part;
        offset <= next_part;
      end
      if (end_part) begin
        out_column <= end_row ? {CW{1'b0}} : out_column + 1'b1;
        origin <= next_column;
        offset <= next_column;
        left <= left + COLUMN_STRIDE[UW-1:0];
        column <= left + COLUMN_STRIDE[UW-1:0];
      end
      if (end_row) begin
        out_row <= end_sample ? {LW{1'b0}} : out_row + 1'b1;
        origin <= C_ORIGIN[AW-1:0];
        offset <= C_ORIGIN[AW-1:0];
        left <= {UW{1'b0}};
        column <= {UW{1'b0}};
        top <= end_sample ? {VW{1'b0}} : top + ROW_STRIDE[VW-1:0];
        row <= end_sample ? {VW{1'b0}} : top + ROW_STRIDE[VW-1:0];
        top_line <= new_line;
        line <= new_line;
        releasing <= 1'b1;
        flush <= end_sample;
      end
      if (end_sample) sample_line <= next_sample_line;
    end

    from <= line + offset;
    read <= running;
    first_read <= (word == {IW{1'b0}}) & (x == {XW{1'b0}}) & (y == {YW{1'b0}});
    last_read <= end_group;
    outside_read <= (row + 1'b1 <= TOP[VW-1:0]) | (row > C_LAST_ROW[VW-1:0])
                    | (column + 1'b1 <= LEFT[UW-1:0]) | (column > C_LAST_COLUMN[UW-1:0]);
    valid <= read;
    first <= first_read;
    last <= last_read;
    outside <= outside_read;

    if (reset) begin
      to <= {AW{1'b0}};
      column_in <= {RW{1'b0}};
      stored <= {SW{1'b0}};
      running <= 1'b0;
      releasing <= 1'b0;
      settled <= 1'b0;
      flush <= 1'b0;
      oldest <= {VW{1'b0}};
      top <= {VW{1'b0}};
      row <= {VW{1'b0}};
      left <= {UW{1'b0}};
      column <= {UW{1'b0}};
      sample_line <= C_START[AW-1:0];
      top_line <= C_START[AW-1:0];
      line <= C_START[AW-1:0];
      origin <= C_ORIGIN[AW-1:0];
      offset <= C_ORIGIN[AW-1:0];
      word <= {IW{1'b0}};
      x <= {XW{1'b0}};
      y <= {YW{1'b0}};
      turn <= {NW{1'b0}};
      part <= {PW{1'b0}};
      out_column <= {CW{1'b0}};
      out_row <= {LW{1'b0}};
      read <= 1'b0;
      valid <= 1'b0;
    end
  end

  actc_ring #(.WIDTH(WIDTH), .DEPTH(TOTAL), .BLOCK(BLOCK), .LUTRAM(LUTRAM)) ring (
    .clk(clk), .write(write), .to(to), .written(in_data), .from(from), .data(data)
  );
endmodule
