/* cpuid, answered as valgrind answers it, while code runs on the processor itself (native.c).
 *
 * Libraries ask by this instruction which processor they run on, and choose their code by the answer. Valgrind pretends one
 * that it can simulate, without AVX-512. A library that asked the real one would choose code that valgrind does not know,
 * or code of another length. Some processors can be made to fault at cpuid, most virtual machines' cannot. So in the
 * memory of this process each cpuid is replaced by ud2, which has the same two bytes' length and faults everywhere; the
 * handler of the fault gives the pretended answer. While code is simulated the cpuids are back in their places.
 *
 * To find them. The bytes 0f a2 also occur within longer instructions and among constants: in torch's libraries about
 * as often as a true cpuid. A place is a cpuid where
 *   - its section is executable, and
 *   - instructions read one after the other from the beginning of its function, which .eh_frame tells, end right before it;
 *   - where no function is known to hold it (assembly that was written by hand): the same from most of 64 places before
 *     it. Wherever one begins, a few instructions later one is in step.
 * tests/inside/test_cpuid.py compares what is found with what objdump reads.
 *
 * Not found: a cpuid in code that is made at run time, or in a file that is written into executable memory by read().
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "methods.h"
#include "native.h"

#ifdef __x86_64__

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static const uint8_t CPUID[] = {0x0f, 0xa2};

/* How long instructions are */

enum { LONGEST_INSTRUCTION = 15, MOST_BEHIND_PREFIXES = 9 /* that are looked at before it is known to be too long */ };

/* The bytes of a ModRM byte, what follows it included: a SIB byte, a displacement. */
static int operand_bytes(const uint8_t *modrm)
{
    const int mode = modrm[0] >> 6, base = modrm[0] & 7;
    if (mode == 3)
        return 1;
    const int sib = base == 4;
    if (mode == 0)
        return 1 + sib + ((sib ? (modrm[1] & 7) == 5 : base == 5) ? 4 : 0);
    return 1 + sib + (mode == 1 ? 1 : 4);
}

static int is_one_of(uint8_t code, const char *codes)
{
    return code != 0 && strchr(codes, (char)code) != NULL;
}

/* The bytes that follow an opcode of the map 0f, or -1 for one that is not. `prefixed`: behind 66 or f2. */
static int rest_of_two_byte(uint8_t code, const uint8_t *rest, int prefixed)
{
    if (code == 0x78 && prefixed)
        return operand_bytes(rest) + 2; /* extrq, insertq */
    if (code >= 0x80 && code <= 0x8f)
        return 4;
    if (code >= 0xc8 || (code >= 0x30 && code <= 0x37))
        return code <= 0xcf ? 0 : operand_bytes(rest);
    if (is_one_of(code, "\x04\x0a\x0c\x24\x25\x26\x27\x36\x39\x3b\x3c\x3d\x3e\x3f\xa6\xa7"))
        return -1;
    if (is_one_of(code, "\x05\x06\x07\x08\x09\x0b\x0e\x77\xa0\xa1\xa2\xa8\xa9\xaa"))
        return 0;
    return operand_bytes(rest) + is_one_of(code, "\x0f\x70\x71\x72\x73\xa4\xac\xba\xc2\xc4\xc5\xc6");
}

/* The same for an opcode of one byte. `full` is the size of a full immediate operand, `wide` whether REX.W is there. */
static int rest_of_one_byte(uint8_t code, const uint8_t *rest, int full, int wide, int narrow, int short_address)
{
    if (code < 0x40) {
        const int form = code & 7;
        if (form >= 6)
            return -1; /* pushes and adjustments that 64-bit code does not have; prefixes do not come here */
        return form < 4 ? operand_bytes(rest) : form == 4 ? 1 : full;
    }
    switch (code) {
    case 0x60: case 0x61: case 0x82: case 0x9a: case 0xce: case 0xd4: case 0xd5: case 0xd6: case 0xea:
        return -1;
    case 0x63: case 0xd0: case 0xd1: case 0xd2: case 0xd3: case 0xfe: case 0xff:
        return operand_bytes(rest);
    case 0x68: case 0xa9:
        return full;
    case 0xe8: case 0xe9:
        return 4;
    case 0x69: case 0x81: case 0xc7:
        return operand_bytes(rest) + full;
    case 0x6b: case 0x80: case 0x83: case 0xc0: case 0xc1: case 0xc6:
        return operand_bytes(rest) + 1;
    case 0x6a: case 0xa8: case 0xcd: case 0xeb:
        return 1;
    case 0xa0: case 0xa1: case 0xa2: case 0xa3:
        return short_address ? 4 : 8;
    case 0x8f: /* pop; else a prefix of AMD's, which no compiler uses by itself */
        return rest[0] >> 3 & 7 ? -1 : operand_bytes(rest);
    case 0xc2: case 0xca:
        return 2;
    case 0xc8:
        return 3;
    case 0xf6: case 0xf7: {
        const int tests = (rest[0] >> 3 & 7) < 2;
        return operand_bytes(rest) + (tests ? (code == 0xf6 ? 1 : full) : 0);
    }
    }
    if ((code >= 0x70 && code <= 0x7f) || (code >= 0xb0 && code <= 0xb7) || (code >= 0xe0 && code <= 0xe7))
        return 1;
    if (code >= 0xb8 && code <= 0xbf)
        return wide ? 8 : narrow ? 2 : 4;
    if ((code >= 0x84 && code <= 0x8f) || (code >= 0xd8 && code <= 0xdf))
        return operand_bytes(rest);
    return 0;
}

/* The same for an opcode behind a VEX or EVEX prefix; `map` is the prefix's number of the table that it is in. */
static int rest_of_vector(int map, uint8_t code, const uint8_t *rest)
{
    if (map == 1 && code == 0x77)
        return 0;
    if (map < 1 || map > 6)
        return -1;
    return operand_bytes(rest) + (map == 3 || (map == 1 && is_one_of(code, "\x70\x71\x72\x73\xc2\xc4\xc5\xc6")));
}

/* The length in bytes of the instruction at `code`, of which so many bytes can be read; 0 if none is there. */
static int instruction_length(const uint8_t *code)
{
    const uint8_t *at = code;
    int narrow = 0, short_address = 0, repeated = 0, wide = 0, rest;
    while (is_one_of(*at, "\x26\x2e\x36\x3e\x64\x65\x66\x67\xf0\xf2\xf3")) {
        narrow |= *at == 0x66;
        short_address |= *at == 0x67;
        repeated |= *at == 0xf2;
        if (++at - code >= LONGEST_INSTRUCTION)
            return 0;
    }
    if ((*at & 0xf0) == 0x40)
        wide = *at++ >> 3 & 1;
    const int full = narrow && !wide ? 2 : 4;
    const uint8_t opcode = *at++;
    if (opcode == 0xc5)
        rest = 1 + rest_of_vector(1, at[1], at + 2), at += 1;
    else if (opcode == 0xc4)
        rest = 1 + rest_of_vector(at[0] & 0x1f, at[2], at + 3), at += 2;
    else if (opcode == 0x62)
        rest = 1 + rest_of_vector(at[0] & 7, at[3], at + 4), at += 3;
    else if (opcode != 0x0f)
        rest = 1 + rest_of_one_byte(opcode, at, full, wide, narrow, short_address), at -= 1;
    else if (*at == 0x38)
        rest = 2 + operand_bytes(at + 2);
    else if (*at == 0x3a)
        rest = 2 + operand_bytes(at + 2) + 1;
    else
        rest = 1 + rest_of_two_byte(*at, at + 1, narrow || repeated);
    const long length = at - code + rest;
    return rest < 1 || length > LONGEST_INSTRUCTION ? 0 : (int)length;
}

/* Which places of a file are cpuids */

struct file {
    const uint8_t *bytes;
    size_t size;
    const Elf64_Ehdr *header;
    const Elf64_Phdr *segments;
    const Elf64_Shdr *sections; /* NULL: it tells none */
    /* The sorted table of .eh_frame_hdr: where functions begin, and where more is said of each; relative to `base`. */
    const int32_t (*functions)[2];
    uint32_t number_of_functions;
    uint64_t base;
};

static int holds(const struct file *file, uint64_t offset, uint64_t bytes)
{
    return offset <= file->size && bytes <= file->size - offset;
}

/* Where in the file an address of it lies; 0 for nowhere. */
static uint64_t offset_of(const struct file *file, uint64_t address)
{
    for (int number = 0; number < file->header->e_phnum; number++) {
        const Elf64_Phdr *segment = &file->segments[number];
        if (segment->p_type == PT_LOAD && address >= segment->p_vaddr && address - segment->p_vaddr < segment->p_filesz)
            return address - segment->p_vaddr + segment->p_offset;
    }
    return 0;
}

static int open_elf(struct file *file, const uint8_t *bytes, size_t size)
{
    *file = (struct file){.bytes = bytes, .size = size, .header = (const Elf64_Ehdr *)bytes};
    const Elf64_Ehdr *header = file->header;
    if (size < sizeof *header || memcmp(header->e_ident, ELFMAG, SELFMAG) != 0 || header->e_machine != EM_X86_64 ||
        header->e_phentsize != sizeof(Elf64_Phdr) ||
        !holds(file, header->e_phoff, (uint64_t)header->e_phnum * sizeof(Elf64_Phdr)))
        return 0;
    file->segments = (const Elf64_Phdr *)(bytes + header->e_phoff);
    if (header->e_shnum > 0 && header->e_shentsize == sizeof(Elf64_Shdr) &&
        holds(file, header->e_shoff, (uint64_t)header->e_shnum * sizeof(Elf64_Shdr)))
        file->sections = (const Elf64_Shdr *)(bytes + header->e_shoff);
    for (int number = 0; number < header->e_phnum; number++) {
        const Elf64_Phdr *segment = &file->segments[number];
        static const uint8_t as_usual[] = {1, 0x1b, 0x03, 0x3b}; /* the version, and how its numbers are written */
        if (segment->p_type != PT_GNU_EH_FRAME || !holds(file, segment->p_offset, 12) ||
            memcmp(bytes + segment->p_offset, as_usual, sizeof as_usual) != 0)
            continue;
        memcpy(&file->number_of_functions, bytes + segment->p_offset + 8, 4);
        if (!holds(file, segment->p_offset + 12, 8ull * file->number_of_functions))
            file->number_of_functions = 0;
        file->functions = (const int32_t(*)[2])(bytes + segment->p_offset + 12);
        file->base = segment->p_vaddr;
    }
    return 1;
}

/* Where the function begins that holds `address`; 0 if none is known to. */
static uint64_t beginning_of_function(const struct file *file, uint64_t address)
{
    uint32_t low = 0, high = file->number_of_functions;
    while (low < high) {
        const uint32_t middle = low + (high - low) / 2;
        if (file->base + (int64_t)file->functions[middle][0] <= address)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == 0)
        return 0;
    const uint64_t begins = file->base + (int64_t)file->functions[low - 1][0];
    const uint64_t entry_address = file->base + (int64_t)file->functions[low - 1][1];
    const uint64_t entry = offset_of(file, entry_address);
    int32_t facts[4]; /* the entry's length, to what it belongs, where the function begins, how long it is */
    if (entry == 0 || !holds(file, entry, sizeof facts))
        return 0;
    memcpy(facts, file->bytes + entry, sizeof facts);
    const int as_usual = entry_address + 8 + (int64_t)facts[2] == begins;
    return as_usual && address - begins < (uint32_t)facts[3] ? begins : 0;
}

/* Whether instructions that are read one after the other from `begin` end right before `place`: 1, or 0, or -1 where one
 * of them is none. All are offsets in the file. */
static int leads_to(const struct file *file, uint64_t begin, uint64_t place)
{
    while (begin < place) {
        if (!holds(file, begin, LONGEST_INSTRUCTION + MOST_BEHIND_PREFIXES))
            return -1;
        const int length = instruction_length(file->bytes + begin);
        if (length == 0)
            return -1;
        begin += (unsigned)length;
    }
    return begin == place;
}

/* Whether the bytes of a cpuid at `place`, an offset in the file, are one; `first` is where its section begins. */
static int is_cpuid(const struct file *file, uint64_t place, uint64_t address, uint64_t first)
{
    const uint64_t function = beginning_of_function(file, address);
    if (function != 0) {
        const int leads = leads_to(file, place - (address - function), place);
        if (leads >= 0)
            return leads;
    }
    int votes = 0;
    for (unsigned before = LONGEST_INSTRUCTION + 1; before < LONGEST_INSTRUCTION + 1 + 64 && place - first >= before; before++) {
        const int leads = leads_to(file, place - before, place);
        votes += leads > 0 ? 1 : leads == 0 ? -1 : 0;
    }
    return votes > 0 || (votes == 0 && leads_to(file, first, place) > 0); /* near its section's beginning: from there */
}

typedef int visit(void *context, uint64_t offset, uint64_t address);

/* Visit every cpuid in a part of the file, from the offset `begin`, which has this address. */
static int visit_part(const struct file *file, uint64_t begin, uint64_t bytes, uint64_t address, visit *found, void *context)
{
    if (!holds(file, begin, bytes))
        return 0;
    const uint8_t *at = file->bytes + begin;
    const uint8_t *const last = at + bytes;
    while (at < last && (at = memchr(at + 1, CPUID[1], (size_t)(last - at - 1))) != NULL) {
        const uint64_t place = (uint64_t)(at - file->bytes) - 1;
        if (at[-1] != CPUID[0] || !is_cpuid(file, place, address + (place - begin), begin))
            continue;
        const int stop = found(context, place, address + (place - begin));
        if (stop != 0)
            return stop;
    }
    return 0;
}

/* Visit every cpuid of the file, until a visit answers other than 0, which is then the answer. */
static int visit_cpuids(const struct file *file, visit *found, void *context)
{
    int stop = 0;
    if (file->sections != NULL) {
        for (int number = 0; stop == 0 && number < file->header->e_shnum; number++) {
            const Elf64_Shdr *section = &file->sections[number];
            if (section->sh_flags & SHF_EXECINSTR && section->sh_type != SHT_NOBITS)
                stop = visit_part(file, section->sh_offset, section->sh_size, section->sh_addr, found, context);
        }
        return stop;
    }
    for (int number = 0; stop == 0 && number < file->header->e_phnum; number++) {
        const Elf64_Phdr *segment = &file->segments[number];
        if (segment->p_type == PT_LOAD && segment->p_flags & PF_X)
            stop = visit_part(file, segment->p_offset, segment->p_filesz, segment->p_vaddr, found, context);
    }
    return stop;
}

/* Replace them in memory */

#ifndef WITHOUT_VALGRIND

static const uint8_t UD2[] = {0x0f, 0x0b};
enum { MOST_CPUIDS = 1 << 14, MOST_MAPPINGS = 1 << 12, BYTES_OF_MAPS = 1 << 20 };
static uintptr_t replaced[MOST_CPUIDS];
static int number_replaced;

/* The executable mappings of files whose cpuids are among the replaced. */
struct mapping {
    uintptr_t start, end;
    uint64_t offset, file; /* the file's inode number */
};
static struct mapping known[MOST_MAPPINGS];
static int number_known;

static int same(const struct mapping *one, const struct mapping *other)
{
    return one->start == other->start && one->end == other->end && one->offset == other->offset && one->file == other->file;
}

static int remember(void *context, uint64_t offset, uint64_t address)
{
    const struct mapping *const mapping = context;
    if (offset < mapping->offset || offset - mapping->offset >= mapping->end - mapping->start)
        return 0; /* in another part of the file */
    if (number_replaced == MOST_CPUIDS)
        return -ENOSPC;
    replaced[number_replaced++] = mapping->start + (offset - mapping->offset);
    return 0;
}

void forget_cpuids(uintptr_t start, size_t bytes)
{
    const uintptr_t end = start + (bytes + PAGE - 1) / PAGE * PAGE;
    int kept = 0;
    for (int number = 0; number < number_replaced; number++)
        if (replaced[number] < start || replaced[number] >= end)
            replaced[kept++] = replaced[number];
    number_replaced = kept;
    kept = 0;
    for (int number = 0; number < number_known; number++)
        if (known[number].end <= start || known[number].start >= end)
            known[kept++] = known[number];
    number_known = kept;
}

int holds_replaced(uintptr_t start, size_t bytes)
{
    for (int number = 0; number < number_replaced; number++)
        if (replaced[number] >= start && replaced[number] - start < bytes)
            return 1;
    return 0;
}

int is_replaced(uintptr_t address)
{
    return holds_replaced(address, 1);
}

/* Write the two bytes to each place. The kernel writes through /proc/self/mem whatever the protection of the page is. */
static long write_each(const uint8_t *instruction)
{
    const long memory = system_call(SYS_open, (long)"/proc/self/mem", O_RDWR | O_CLOEXEC, 0, 0, 0, 0);
    long failed = memory < 0 ? memory : 0;
    for (int number = 0; failed == 0 && number < number_replaced; number++) {
        const long written = system_call(SYS_pwrite64, memory, (long)instruction, sizeof CPUID, (long)replaced[number], 0, 0);
        if (written != sizeof CPUID)
            failed = written < 0 ? written : -EIO;
    }
    if (memory >= 0)
        system_call(SYS_close, memory, 0, 0, 0, 0, 0);
    return failed;
}

long put_back_cpuids(void)
{
    return write_each(CPUID);
}

/* Find the cpuids of a mapping in its file. 0 or -errno. */
static long find_in_file(int descriptor, const struct mapping *mapping)
{
    struct stat facts;
    const long failed = system_call(SYS_fstat, descriptor, (long)&facts, 0, 0, 0, 0);
    if (failed < 0)
        return failed;
    if (!S_ISREG(facts.st_mode) || facts.st_size < (long)sizeof(Elf64_Ehdr))
        return 0;
    const size_t size = (size_t)facts.st_size;
    const long map = system_call(SYS_mmap, 0, (long)size, PROT_READ, MAP_PRIVATE, descriptor, 0);
    if (map < 0 && map > -PAGE)
        return map;
    struct file file;
    const long stopped = open_elf(&file, (const uint8_t *)map, size) ? visit_cpuids(&file, remember, (void *)mapping) : 0;
    system_call(SYS_munmap, map, (long)size, 0, 0, 0, 0);
    return stopped;
}

/* The same where the file is there no more: by what is mapped of it, in which nothing says where functions begin. */
static long find_in_memory(const struct mapping *mapping)
{
    const struct file file = {.bytes = (const uint8_t *)mapping->start, .size = mapping->end - mapping->start};
    struct mapping bytes = *mapping;
    bytes.offset = 0;
    return visit_part(&file, 0, file.size, mapping->start, remember, &bytes);
}

/* `path` is as the kernel writes it: where another file has the name by now, " (deleted)" stands behind it. */
static long find_in(const char *path, const struct mapping *mapping)
{
    if (number_known == MOST_MAPPINGS)
        return -ENOSPC;
    known[number_known++] = *mapping;
    const long descriptor = system_call(SYS_open, (long)path, O_RDONLY | O_CLOEXEC, 0, 0, 0, 0);
    if (descriptor < 0)
        return find_in_memory(mapping);
    const long failed = find_in_file((int)descriptor, mapping);
    system_call(SYS_close, descriptor, 0, 0, 0, 0, 0);
    return failed;
}

static uint64_t number_in(const char **text, int base)
{
    uint64_t number = 0;
    for (;; (*text)++) {
        const char letter = **text;
        const int digit = letter >= '0' && letter <= '9' ? letter - '0' : letter >= 'a' && letter <= 'f' ? letter - 'a' + 10 : 16;
        if (digit >= base)
            return number;
        number = number * (unsigned)base + (unsigned)digit;
    }
}

/* The mapping that a line of /proc/self/maps tells, and the path of its file: NULL if it is not executable or has none. */
static const char *read_line(const char *line, struct mapping *mapping)
{
    const char *at = line;
    mapping->start = number_in(&at, 16);
    at++;
    mapping->end = number_in(&at, 16);
    const char *const protection = ++at;
    at += sizeof "rwxp";
    mapping->offset = number_in(&at, 16);
    at = strchr(at + 1, ' ') + 1; /* behind the device */
    mapping->file = number_in(&at, 10);
    return protection[2] == 'x' ? strchr(at, '/') : NULL;
}

/* Read the maps of this process into `text`. Their size or -errno. */
static long read_maps(char *text, size_t room)
{
    const long maps = system_call(SYS_open, (long)"/proc/self/maps", O_RDONLY | O_CLOEXEC, 0, 0, 0, 0);
    if (maps < 0)
        return maps;
    size_t size = 0;
    long bytes;
    while ((bytes = system_call(SYS_read, maps, (long)(text + size), (long)(room - 1 - size), 0, 0, 0)) > 0)
        size += (size_t)bytes;
    system_call(SYS_close, maps, 0, 0, 0, 0, 0);
    if (bytes < 0)
        return bytes;
    text[size] = 0;
    return size == room - 1 ? -EFBIG : (long)size;
}

long replace_all_cpuids(const uintptr_t *but, int number)
{
    static char text[BYTES_OF_MAPS];
    static struct mapping there[MOST_MAPPINGS];
    static const char *paths[MOST_MAPPINGS];
    const long size = read_maps(text, sizeof text);
    if (size < 0)
        return size;
    int mappings = 0;
    char *end;
    for (char *line = text; (end = strchr(line, '\n')) != NULL; line = end + 1) {
        *end = 0;
        struct mapping *const mapping = &there[mappings];
        const char *const path = read_line(line, mapping);
        int skipped = path == NULL;
        for (int which = 0; which < number; which++)
            skipped |= but[which] >= mapping->start && but[which] < mapping->end;
        if (skipped)
            continue;
        paths[mappings++] = path;
        if (mappings == MOST_MAPPINGS)
            return -ENOSPC;
    }
    for (int old = number_known - 1; old >= 0; old--) {
        int still = 0;
        for (int which = 0; which < mappings && !still; which++)
            still = same(&known[old], &there[which]);
        if (!still)
            forget_cpuids(known[old].start, known[old].end - known[old].start);
    }
    for (int which = 0; which < mappings; which++) {
        int old = 0;
        while (old < number_known && !same(&known[old], &there[which]))
            old++;
        if (old < number_known)
            continue;
        const long failed = find_in(paths[which], &there[which]);
        if (failed < 0)
            return failed;
    }
    return write_each(UD2);
}

#endif

/* For the tests */

static int append(void *list, uint64_t offset, uint64_t address)
{
    PyObject *number = PyLong_FromUnsignedLongLong(address);
    const int failed = number == NULL || PyList_Append(list, number) < 0;
    Py_XDECREF(number);
    return failed;
}

/* cpuids_in(bytes) -> the addresses of all cpuids in the text of an ELF file, as the file tells addresses. */
PyObject *cpuids_in(PyObject *self, PyObject *text)
{
    char *bytes;
    Py_ssize_t size;
    if (PyBytes_AsStringAndSize(text, &bytes, &size) < 0)
        return NULL;
    struct file file;
    if (!open_elf(&file, (const uint8_t *)bytes, (size_t)size))
        return PyErr_Format(PyExc_ValueError, "not an ELF file for x86-64");
    PyObject *const list = PyList_New(0);
    if (list != NULL && visit_cpuids(&file, append, list) != 0) {
        Py_DECREF(list);
        return NULL;
    }
    return list;
}

#else

PyObject *cpuids_in(PyObject *self, PyObject *text)
{
    return PyErr_Format(PyExc_NotImplementedError, "cpuid is an instruction of x86-64");
}

#endif
