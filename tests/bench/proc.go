package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// ticks is how many units of /proc/<pid>/stat make a second on Linux.
const ticks = 100

// cpuTime is the seconds of processor that a process and its children have used;
// 0 for pid 0.
func cpuTime(pid int) (float64, error) {
	if pid == 0 {
		return 0, nil
	}
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return 0, err
	}
	sum, found := 0.0, false
	for _, path := range stats {
		content, err := os.ReadFile(path)
		if err != nil {
			continue // it ended meanwhile
		}
		// The name, in brackets, may hold anything; behind it are plain fields:
		// state, parent, and as the 12th and 13th user and system time.
		fields := strings.Fields(string(content[strings.LastIndexByte(string(content), ')')+1:]))
		own := filepath.Base(filepath.Dir(path)) == strconv.Itoa(pid)
		if !own && fields[1] != strconv.Itoa(pid) {
			continue
		}
		found = found || own
		for _, f := range fields[11:13] {
			n, err := strconv.ParseFloat(f, 64)
			if err != nil {
				return 0, fmt.Errorf("%s: %w", path, err)
			}
			sum += n / ticks
		}
	}
	if !found {
		return 0, fmt.Errorf("process %d has ended", pid)
	}
	return sum, nil
}

// ownCPUTime is the seconds of processor that this process has used, and those of its children
// that have ended.
func ownCPUTime() (sum float64, err error) {
	for _, who := range []int{unix.RUSAGE_SELF, unix.RUSAGE_CHILDREN} {
		var used unix.Rusage
		if err := unix.Getrusage(who, &used); err != nil {
			return 0, fmt.Errorf("own processor time: %w", err)
		}
		sum += time.Duration(used.Utime.Nano() + used.Stime.Nano()).Seconds()
	}
	return sum, nil
}

// residentMemory is how many bytes of a process are in memory.
func residentMemory(pid int) (int64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	_, rest, found := strings.Cut(string(text), "\nVmRSS:")
	words := strings.Fields(rest)
	if !found || len(words) == 0 {
		return 0, fmt.Errorf("no resident memory in the status of process %d", pid)
	}
	kib, err := strconv.ParseInt(words[0], 10, 64)
	return kib << 10, err
}
