//! What processes and threads took, as Linux counts it.

use std::fs;

/// CPU time is counted in hundredths of a second.
pub const TICKS: f64 = 100.0;

/// Seconds of CPU that a process took, with all its threads.
pub fn cpu(pid: u32) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    (fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap()) / TICKS
}

/// Seconds of CPU that one thread took, to the nanosecond.
pub fn thread_cpu(thread: &str) -> f64 {
    let text = fs::read_to_string(format!("/proc/{thread}/schedstat")).unwrap();
    text.split(' ').next().unwrap().parse::<f64>().unwrap() / 1e9
}

/// Seconds of CPU that everything on this machine took, and what the host took from it.
pub fn machine_cpu() -> f64 {
    let stat = fs::read_to_string("/proc/stat").unwrap();
    let counts = stat.lines().next().unwrap().split_whitespace().skip(1).take(8);
    // Of user, nice, system, idle, iowait, irq, softirq and steal, all but the two that wait.
    let busy = counts.enumerate().filter(|(at, _)| !matches!(at, 3 | 4));
    busy.map(|(_, count)| count.parse::<f64>().unwrap()).sum::<f64>() / TICKS
}

/// `VmRSS`, what is resident, or `VmHWM`, the most that was; in MB.
pub fn memory_mb(pid: u32, field: &str) -> f64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with(field)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() / 1_024.0
}

/// From now on `VmHWM` is the most that was resident since now: proc(5), clear_refs.
pub fn forget_peak(pid: u32) {
    fs::write(format!("/proc/{pid}/clear_refs"), "5").unwrap();
}
