//! Fuzzes `simplegrid_fuzz_targets::fields`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| simplegrid_fuzz_targets::fields(data));
