#![no_main]

unotify_lab_fuzz::target!(ScenarioText, text);
