// SPDX-License-Identifier: MIT OR Apache-2.0
//! Names of the registers that the host reads or writes.
//!
//! System registers are the architecture's own encoding, which is what the framework
//! takes too: an SDK's header is not needed to know a register (Arm ARM, D22).

/// A general register of a processor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reg {
    /// `X0` to `X30`.
    X(u8),
    /// The program counter.
    Pc,
    /// The processor state (`PSTATE` in the layout of `SPSR_EL1`).
    Cpsr,
    /// Floating-point control.
    Fpcr,
    /// Floating-point status.
    Fpsr,
}

/// A system register, `op0 << 14 | op1 << 11 | CRn << 7 | CRm << 3 | op2`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SysReg(pub u16);

impl SysReg {
    /// The encoding of an `MRS` or `MSR` instruction.
    #[must_use]
    pub const fn new(op0: u8, op1: u8, crn: u8, crm: u8, op2: u8) -> Self {
        Self(
            (op0 as u16 & 3) << 14
                | (op1 as u16 & 7) << 11
                | (crn as u16 & 15) << 7
                | (crm as u16 & 15) << 3
                | (op2 as u16 & 7),
        )
    }

    /// `op0, op1, CRn, CRm, op2`.
    #[must_use]
    pub const fn fields(self) -> (u8, u8, u8, u8, u8) {
        let [high, low] = self.0.to_be_bytes();
        (
            high >> 6,
            high >> 3 & 7,
            (high & 7) << 1 | low >> 7,
            low >> 3 & 15,
            low & 7,
        )
    }
}

macro_rules! system_registers {
    ($($name:ident = $op0:literal $op1:literal $crn:literal $crm:literal $op2:literal, $text:literal;)*) => {
        impl SysReg {
            $(#[doc = $text] pub const $name: Self = Self::new($op0, $op1, $crn, $crm, $op2);)*
        }
    };
}

system_registers! {
    MIDR_EL1 = 3 0 0 0 0, "Which processor this is.";
    MPIDR_EL1 = 3 0 0 0 5, "Affinity.";
    ID_AA64PFR0_EL1 = 3 0 0 4 0, "Features: processor 0.";
    ID_AA64PFR1_EL1 = 3 0 0 4 1, "Features: processor 1.";
    ID_AA64DFR0_EL1 = 3 0 0 5 0, "Features: debug 0.";
    ID_AA64ISAR0_EL1 = 3 0 0 6 0, "Features: instructions 0.";
    ID_AA64ISAR1_EL1 = 3 0 0 6 1, "Features: instructions 1.";
    ID_AA64MMFR0_EL1 = 3 0 0 7 0, "Features: memory 0.";
    ID_AA64MMFR1_EL1 = 3 0 0 7 1, "Features: memory 1.";
    ID_AA64MMFR2_EL1 = 3 0 0 7 2, "Features: memory 2.";
    SCTLR_EL1 = 3 0 1 0 0, "System control.";
    CPACR_EL1 = 3 0 1 0 2, "Access to floating point.";
    TTBR0_EL1 = 3 0 2 0 0, "Translation table of the lower half, and the ASID.";
    TTBR1_EL1 = 3 0 2 0 1, "Translation table of the upper half.";
    TCR_EL1 = 3 0 2 0 2, "Translation control.";
    SPSR_EL1 = 3 0 4 0 0, "State to return to.";
    ELR_EL1 = 3 0 4 0 1, "Address to return to.";
    SP_EL0 = 3 0 4 1 0, "Stack pointer of EL0.";
    ESR_EL1 = 3 0 5 2 0, "Syndrome of the last exception.";
    FAR_EL1 = 3 0 6 0 0, "Address of the last fault.";
    PAR_EL1 = 3 0 7 4 0, "Result of an address translation.";
    MAIR_EL1 = 3 0 10 2 0, "Memory attributes.";
    VBAR_EL1 = 3 0 12 0 0, "Exception vectors.";
    CONTEXTIDR_EL1 = 3 0 13 0 1, "Context for debuggers.";
    TPIDR_EL1 = 3 0 13 0 4, "Software's, EL1 only.";
    CNTKCTL_EL1 = 3 0 14 1 0, "Access to the timers from EL0.";
    TPIDR_EL0 = 3 3 13 0 2, "The thread pointer.";
    TPIDRRO_EL0 = 3 3 13 0 3, "Software's, read-only at EL0.";
    CNTV_CTL_EL0 = 3 3 14 3 1, "Virtual timer: control.";
    CNTV_CVAL_EL0 = 3 3 14 3 2, "Virtual timer: when.";
    SP_EL1 = 3 4 4 1 0, "Stack pointer of EL1.";
}

#[cfg(test)]
mod tests {
    use super::SysReg;

    #[test]
    fn encodings_are_the_framework_s_numbers() {
        // facts: the numbers of hv_sys_reg_t.
        assert_eq!(SysReg::SCTLR_EL1.0, 0xc080);
        assert_eq!(SysReg::CPACR_EL1.0, 0xc082);
        assert_eq!(SysReg::TTBR0_EL1.0, 0xc100);
        assert_eq!(SysReg::TTBR1_EL1.0, 0xc101);
        assert_eq!(SysReg::TCR_EL1.0, 0xc102);
        assert_eq!(SysReg::SPSR_EL1.0, 0xc200);
        assert_eq!(SysReg::ELR_EL1.0, 0xc201);
        assert_eq!(SysReg::SP_EL0.0, 0xc208);
        assert_eq!(SysReg::ESR_EL1.0, 0xc290);
        assert_eq!(SysReg::FAR_EL1.0, 0xc300);
        assert_eq!(SysReg::PAR_EL1.0, 0xc3a0);
        assert_eq!(SysReg::MAIR_EL1.0, 0xc510);
        assert_eq!(SysReg::VBAR_EL1.0, 0xc600);
        assert_eq!(SysReg::CONTEXTIDR_EL1.0, 0xc681);
        assert_eq!(SysReg::TPIDR_EL1.0, 0xc684);
        assert_eq!(SysReg::CNTKCTL_EL1.0, 0xc708);
        assert_eq!(SysReg::TPIDR_EL0.0, 0xde82);
        assert_eq!(SysReg::CNTV_CTL_EL0.0, 0xdf19);
        assert_eq!(SysReg::CNTV_CVAL_EL0.0, 0xdf1a);
        assert_eq!(SysReg::SP_EL1.0, 0xe208);
        assert_eq!(SysReg::MPIDR_EL1.0, 0xc005);
    }

    #[test]
    fn fields_undo_new() {
        for number in 0x8000..=u16::MAX {
            let (op0, op1, crn, crm, op2) = SysReg(number).fields();
            assert_eq!(SysReg::new(op0, op1, crn, crm, op2), SysReg(number));
        }
    }
}
