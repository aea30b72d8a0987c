/* The ways into ring 0: from the loader (PVH, Multiboot2), by an exception or interrupt, by the SYSCALL instruction. */

#define CR0_VALUE 0x80010033            /* PG, WP, NE, ET, MP, PE; not EM and TS, so that SSE works */
#define CR4_VALUE 0x620                 /* PAE, OSFXSR, OSXMMEXCPT */
#define EFER 0xc0000080
#define EFER_VALUE 0x901                /* SCE, LME, NXE */
#define PRESENT_WRITABLE 3
#define LARGE 0x83                      /* present, writable, of 2 MiB */
#define LARGE_UNCACHED 0x9b

/* --- What loaders look for. Either leaves the file's ELF entry, the C library's _start, to Linux. */

/* PVH (Xen's x86/HVM direct boot ABI; QEMU, Firecracker, cloud-hypervisor): 32-bit flat, ebx is hvm_start_info. */
        .section .note.pvh, "a", @note
        .balign 4
        .long 4, 4, 18                  /* XEN_ELFNOTE_PHYS32_ENTRY */
        .asciz "Xen"
        .long entry_pvh

/* Multiboot2 (3.1.2: within the first 32768 bytes, 8-aligned). As a note, because the linker puts those first. */
        .section .note.multiboot2, "a", @note
        .balign 8
        .long 4, header_end - header, 1
        .asciz "Net"
header: .long 0xe85250d6, 0, header_end - header, -(0xe85250d6 + header_end - header)
        .short 3, 0                     /* entry address, instead of the ELF header's */
        .long 12, entry_multiboot2
        .balign 8
        .short 0, 0
        .long 8
header_end:

/* --- From the loader: 32-bit, paging off. */
        .section .bss
        .balign 4096
        .globl page_tables
page_tables:                            /* the root, one of 512 GiB, four of 1 GiB each: identity */
root:   .skip 4096
upper:  .skip 4096
lower:  .skip 4 * 4096
        .balign 16
        .skip 8192
boot_stack:

        .section .data
        .balign 16
        .globl segments
segments:                               /* null, code, data, task state: two entries, filled in by traps_start() */
        .quad 0, 0x00af9a000000ffff, 0x00cf92000000ffff, 0, 0
        .globl segments_pointer
segments_pointer:
        .short . - segments - 1
        .quad segments

        .section .text
        .code32
entry_pvh:
        xorl %eax, %eax
entry_multiboot2:
        cli
        cld
        movl $boot_stack, %esp
        movl %eax, %edi
        movl %ebx, %esi

        movl $upper + PRESENT_WRITABLE, root
        movl $lower + PRESENT_WRITABLE, %eax
        xorl %ecx, %ecx
1:      movl %eax, upper(, %ecx, 8)
        addl $4096, %eax
        incl %ecx
        cmpl $4, %ecx
        jne 1b
        xorl %ecx, %ecx
2:      movl %ecx, %eax
        shll $21, %eax
        orl $LARGE, %eax
        cmpl $0xc0000000, %eax          /* registers of devices, as a rule, from here on */
        jb 3f
        orl $LARGE_UNCACHED, %eax
3:      movl %eax, lower(, %ecx, 8)
        incl %ecx
        cmpl $2048, %ecx
        jne 2b

        movl $CR4_VALUE, %eax
        movl %eax, %cr4
        movl $root, %eax
        movl %eax, %cr3
        movl $EFER, %ecx
        xorl %edx, %edx
        movl $EFER_VALUE, %eax
        wrmsr
        movl $CR0_VALUE, %eax
        movl %eax, %cr0
        lgdt segments_pointer
        ljmp $8, $4f

        .code64
4:      movl $0x10, %eax
        movl %eax, %ss
        movl %eax, %ds
        movl %eax, %es
        xorl %eax, %eax
        movl %eax, %fs
        movl %eax, %gs
        movl $boot_stack, %esp          /* clears the upper half */
        xorl %ebp, %ebp
        call kernel_start
        ud2

/* Begins the program on its own stack, as Linux would (System V ABI, AMD64 supplement, 3.4.1: rdx is 0). */
        .globl program_start
program_start:                          /* (stack) */
        movq %rdi, %rsp
        xorl %edx, %edx
        xorl %ebp, %ebp
        jmp _start

/* What a function has to save, and the control words, go on the stack, which is kept. */
        .globl netapp_freeze
netapp_freeze:
        pushq %rbp
        pushq %rbx
        pushq %r12
        pushq %r13
        pushq %r14
        pushq %r15
        subq $8, %rsp
        stmxcsr (%rsp)
        fnstcw 4(%rsp)
        movq %rsp, %rdi
        call snapshot_freeze            /* the end of this machine */
        ud2
        .globl snapshot_return
snapshot_return:                        /* (stack) */
        movq %rdi, %rsp
        ldmxcsr (%rsp)
        fldcw 4(%rsp)
        addq $8, %rsp
        popq %r15
        popq %r14
        popq %r13
        popq %r12
        popq %rbx
        popq %rbp
        ret

/* --- Exceptions and interrupts. Each enters on a stack of its own (traps.c), so the red zone below rsp is safe. */
        .macro registers_push
        pushq %rax
        pushq %rbx
        pushq %rcx
        pushq %rdx
        pushq %rsi
        pushq %rdi
        pushq %rbp
        .irp number, 8, 9, 10, 11, 12, 13, 14, 15
        pushq %r\number
        .endr
        .endm

        .balign 16
        .globl trap_stubs
trap_stubs:                             /* 16 bytes for each vector */
        vector = 0
        .rept 256
        .balign 16
        .if vector == 8 || (vector >= 10 && vector <= 14) || vector == 17 || vector == 21 || vector == 29 || vector == 30
        .else
        pushq $0                        /* where the processor pushes no error code */
        .endif
        pushq $vector
        .if vector < 32
        jmp exception_common
        .else
        jmp interrupt_common
        .endif
        vector = vector + 1
        .endr

/* Neither touches a vector register: who is interrupted has nothing else to lose. */
exception_common:
        cld
        registers_push
        movq %rsp, %rdi
        call exception
        jmp return

interrupt_common:
        cld
        registers_push
        movq 15 * 8(%rsp), %rdi
        call interrupts_note
return: .irp number, 15, 14, 13, 12, 11, 10, 9, 8
        popq %r\number
        .endr
        popq %rbp
        popq %rdi
        popq %rsi
        popq %rdx
        popq %rcx
        popq %rbx
        popq %rax
        addq $16, %rsp
        iretq

/* --- SYSCALL from ring 0: rcx is where to go on, r11 the flags, rsp unchanged. SYSRET would go to ring 3. */
        .section .bss
        .balign 4096
        .skip 4096                      /* absent: paging_start() */
        .globl call_stack_low
call_stack_low:
        .skip 16384
call_stack:
        .globl caller_stack
caller_stack:
        .skip 8

        .section .text
        .globl system_call_entry
system_call_entry:
        movq %rsp, caller_stack(%rip)
        cmpq $call_stack, %rsp
        ja 1f
        cmpq $call_stack_low, %rsp      /* from within a system call: Python tells where it was before the machine ends */
        ja 2f
1:      leaq call_stack(%rip), %rsp
2:      subq $128, %rsp                 /* its red zone */
        andq $-16, %rsp
        pushq caller_stack(%rip)
        pushq caller_stack(%rip)        /* twice: the stack is aligned where C begins */
        pushq %rcx
        pushq %r11
        pushq %r9                       /* six arguments, the first at the lowest address */
        pushq %r8
        pushq %r10
        pushq %rdx
        pushq %rsi
        pushq %rdi
        cld
        movq %rax, %rdi
        movq %rsp, %rsi
        movq %rcx, %rdx
        call system_call
        cmpq $0, signals_due(%rip)
        jne 3f
        popq %rdi
        popq %rsi
        popq %rdx
        popq %r10
        popq %r8
        popq %r9
        popfq                           /* here: below the caller's rsp is its red zone */
        popq %rcx
        popq %rsp
        jmp *%rcx

/* Back on the program's stack first, so that handlers may make system calls, or never return. Vector registers are theirs:
 * who sends a signal calls a function of the C library, which need not preserve any. */
3:      popq %rdi
        popq %rsi
        popq %rdx
        popq %r10
        popq %r8
        popq %r9
        popq %r11
        popq %rcx
        popq %rsp
        leaq -128(%rsp), %rsp           /* its red zone */
        pushq %rcx
        pushq %r11
        .irp register, rax, rdi, rsi, rdx, r10, r8, r9, rbp
        pushq %\register
        .endr
        movq %rsp, %rbp
        andq $-16, %rsp
        call signals_deliver
        movq %rbp, %rsp
        .irp register, rbp, r9, r8, r10, rdx, rsi, rdi, rax
        popq %\register
        .endr
        popfq
        ret $128

        .section .note.GNU-stack, "", @progbits
