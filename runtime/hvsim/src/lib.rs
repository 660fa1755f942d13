// SPDX-License-Identifier: GPL-2.0-only
//! The Hypervisor API simulated on Unicorn.
