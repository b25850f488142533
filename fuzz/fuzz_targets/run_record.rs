#![no_main]

unotify_lab_fuzz::target!(RunRecord, text);
