/* What the loader tells: PVH's hvm_start_info, or Multiboot2's information. Both are copied: memory is given away later. */
#include "machine.h"

#define PVH_MAGIC 0x336ec578
#define MULTIBOOT2_MAGIC 0x36d76289
#define USABLE 1                        /* a type of memory, in both */
#define LOWEST (1ULL << 20)             /* below it lie the firmware's data */

struct boot boot;

/* PVH: xen/include/public/arch-x86/hvm/start_info.h */
struct pvh {
    uint32_t magic, version, flags, modules_count;
    uint64_t modules, command_line, rsdp, memory_map;
    uint32_t memory_map_entries, reserved;
};
struct pvh_memory { uint64_t address, size; uint32_t type, reserved; };

/* Multiboot2, 3.6: tags of a type and a size, 8-aligned */
struct tag { uint32_t type, size; };
enum { TAG_END = 0, TAG_COMMAND_LINE = 1, TAG_MEMORY_MAP = 6, TAG_RSDP_OLD = 14, TAG_RSDP_NEW = 15 };
struct multiboot2_memory { uint64_t address, size; uint32_t type, reserved; };

static void add_ram(uint64_t start, uint64_t size) {
    uint64_t end = round_down(start + size, PAGE);
    int place = boot.ram_count;
    start = round_up(start < LOWEST ? LOWEST : start, PAGE);
    if (start >= end || boot.ram_count == RAM_RANGES)
        return;
    for (; place > 0 && boot.ram[place - 1].start > start; place--)
        boot.ram[place] = boot.ram[place - 1];
    boot.ram[place].start = start;
    boot.ram[place].end = end;
    boot.ram_count++;
}

/* Where firmware lists memory twice, the later range loses the common part. */
static void separate_ram(void) {
    for (int i = 1; i < boot.ram_count; i++)
        if (boot.ram[i].start < boot.ram[i - 1].end) {
            boot.ram[i].start = boot.ram[i - 1].end;
            if (boot.ram[i].end < boot.ram[i].start)
                boot.ram[i].end = boot.ram[i].start;
        }
}

int boot_has_memory(uint64_t start, uint64_t end) {
    for (int i = 0; i < boot.ram_count; i++)
        if (start >= boot.ram[i].start && end <= boot.ram[i].end)
            return 1;
    return 0;
}

static void copy_command_line(const char *text) {
    size_t length = least(strlen(text), sizeof boot.command_line - 1);
    memcpy(boot.command_line, text, length);
    boot.command_line[length] = 0;
}

static void read_pvh(const struct pvh *info) {
    const struct pvh_memory *memory = (const void *)info->memory_map;
    if (info->version < 1 || info->memory_map == 0)
        refuse(NETAPP_PANIC, "the loader gives no memory map (PVH version %u)", info->version);
    for (uint32_t i = 0; i < info->memory_map_entries; i++)
        if (memory[i].type == USABLE)
            add_ram(memory[i].address, memory[i].size);
    boot.rsdp = info->rsdp;
    if (info->command_line != 0)
        copy_command_line((const char *)info->command_line);
}

static void read_multiboot2(uint64_t information) {
    static char root_pointer[64];       /* a copy is what Multiboot2 gives */
    uint64_t end = information + read32((void *)information);
    for (uint64_t at = information + 8; at + sizeof(struct tag) <= end;) {
        const struct tag *tag = (const void *)at;
        if (tag->type == TAG_END)
            break;
        if (tag->type == TAG_COMMAND_LINE) {
            copy_command_line((const char *)(tag + 1));
        } else if (tag->type == TAG_MEMORY_MAP) {
            uint32_t entry_size = read32((void *)(at + 8));
            for (uint64_t entry = at + 16; entry + entry_size <= at + tag->size; entry += entry_size) {
                const struct multiboot2_memory *memory = (const void *)entry;
                if (memory->type == USABLE)
                    add_ram(memory->address, memory->size);
            }
        } else if (tag->type == TAG_RSDP_NEW || (tag->type == TAG_RSDP_OLD && boot.rsdp == 0)) {
            memcpy(root_pointer, tag + 1, least(tag->size - sizeof *tag, sizeof root_pointer));
            boot.rsdp = (uint64_t)root_pointer;
        }
        at += round_up(tag->size, 8);
    }
}

void boot_read(uint32_t magic, uint64_t info) {
    if (magic == MULTIBOOT2_MAGIC)
        read_multiboot2(info);
    else if (read32((void *)info) == PVH_MAGIC)
        read_pvh((const void *)info);
    else
        refuse(NETAPP_PANIC, "started by a loader that speaks neither PVH nor Multiboot2");
    separate_ram();
}
