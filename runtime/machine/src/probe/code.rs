// SPDX-License-Identifier: MIT OR Apache-2.0
//! The few arm64 instructions that the questions are made of (Arm ARM C6), as words.

pub(super) const NOP: u32 = 0xd503_201f;
pub(super) const YIELD: u32 = 0xd503_203f;
pub(super) const WFE: u32 = 0xd503_205f;
pub(super) const WFI: u32 = 0xd503_207f;
pub(super) const ISB: u32 = 0xd503_3fdf;
pub(super) const DSB_ISH: u32 = 0xd503_3b9f;
pub(super) const SVC: u32 = 0xd400_0001;
pub(super) const BRK: u32 = 0xd420_0000;
/// A branch to itself.
pub(super) const SPIN: u32 = 0x1400_0000;
/// `ldr x1, [x0]`.
pub(super) const LOAD: u32 = 0xf940_0001;
/// `str w1, [x0]`.
pub(super) const STORE_WORD: u32 = 0xb900_0001;
/// `dc zva, x2`.
pub(super) const DC_ZVA_X2: u32 = 0xd50b_7422;
/// `dc cvau, x0`.
pub(super) const DC_CVAU_X0: u32 = 0xd50b_7b20;
/// `ic ivau, x0`.
pub(super) const IC_IVAU_X0: u32 = 0xd50b_7520;
/// `ic iallu`.
pub(super) const IC_IALLU: u32 = 0xd508_751f;
/// `tlbi vmalle1is`.
pub(super) const TLBI_ALL: u32 = 0xd508_831f;
/// `tlbi aside1is, xzr`.
pub(super) const TLBI_ASID: u32 = 0xd508_835f;
/// `tlbi vae1is, xzr`.
pub(super) const TLBI_PAGE: u32 = 0xd508_833f;

/// A call of the hypervisor.
pub(super) const fn hvc(number: u16) -> u32 {
    0xd400_0002 | (number as u32) << 5
}

/// A system register as instructions name it: op0, op1, `CRn`, `CRm`, op2.
#[derive(Clone, Copy)]
pub(super) struct Named(pub(super) u32, u32, u32, u32, u32);

pub(super) const TTBR0_EL1: Named = Named(3, 0, 2, 0, 0);
pub(super) const TTBR1_EL1: Named = Named(3, 0, 2, 0, 1);
pub(super) const TCR_EL1: Named = Named(3, 0, 2, 0, 2);
pub(super) const SCTLR_EL1: Named = Named(3, 0, 1, 0, 0);
pub(super) const CPACR_EL1: Named = Named(3, 0, 1, 0, 2);
pub(super) const MAIR_EL1: Named = Named(3, 0, 10, 2, 0);
pub(super) const VBAR_EL1: Named = Named(3, 0, 12, 0, 0);
pub(super) const CONTEXTIDR_EL1: Named = Named(3, 0, 13, 0, 1);
pub(super) const TPIDR_EL1: Named = Named(3, 0, 13, 0, 4);
pub(super) const TPIDR_EL0: Named = Named(3, 3, 13, 0, 2);
pub(super) const CNTKCTL_EL1: Named = Named(3, 0, 14, 1, 0);
pub(super) const CNTVCT_EL0: Named = Named(3, 3, 14, 0, 2);
pub(super) const CTR_EL0: Named = Named(3, 3, 0, 0, 1);
pub(super) const ISR_EL1: Named = Named(3, 0, 12, 1, 0);
pub(super) const MDCCINT_EL1: Named = Named(2, 0, 0, 2, 0);

impl Named {
    const fn fields(self, register: u32) -> u32 {
        (self.0 - 2) << 19 | self.1 << 16 | self.2 << 12 | self.3 << 8 | self.4 << 5 | register
    }

    /// Reads it into a general register.
    pub(super) const fn read(self, register: u32) -> u32 {
        0xd530_0000 | self.fields(register)
    }

    /// Writes it from a general register.
    pub(super) const fn write(self, register: u32) -> u32 {
        0xd510_0000 | self.fields(register)
    }
}

#[cfg(test)]
mod tests {
    use super::{CNTVCT_EL0, MDCCINT_EL1, TTBR0_EL1, hvc};

    #[test]
    fn words_are_those_of_an_assembler() {
        // llvm-mc -arch=arm64 -show-encoding
        assert_eq!(TTBR0_EL1.write(0), 0xd518_2000);
        assert_eq!(CNTVCT_EL0.read(1), 0xd53b_e041);
        assert_eq!(MDCCINT_EL1.read(0), 0xd530_0200);
        assert_eq!(hvc(1), 0xd400_0022);
    }
}
