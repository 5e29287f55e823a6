//! Where results go: streams that cannot be written, files that are one file, inputs that change. What a run
//! says of its records is true of what it has written.

mod counts;
mod one_file;
mod streams;
mod summary;
