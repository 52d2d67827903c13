package blockdev

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Counters are those of every block device. That there are none is an error.
func (k Kernel) Counters() (map[Number]Counter, error) {
	text, err := os.ReadFile(filepath.Join(k.root, "proc/diskstats"))
	if err != nil {
		return nil, fmt.Errorf("read counters: %w", err)
	}
	counters := parseDiskstats(text)
	if len(counters) == 0 {
		return nil, errors.New("read counters: /proc/diskstats has no lines")
	}
	return counters, nil
}

// Columns of /proc/diskstats, counted from 0. Kernels before 4.18 have no discards,
// and those before 5.5 no flushes.
const (
	readsDone  = 3
	writesDone = 7
	inFlight   = 11
	busyMillis = 12
	discards   = 14
	flushes    = 18
)

func parseDiskstats(text []byte) map[Number]Counter {
	counters := make(map[Number]Counter)
	for line := range bytes.Lines(text) {
		fields := strings.Fields(string(line))
		if len(fields) <= busyMillis {
			continue
		}
		major, merr := strconv.ParseUint(fields[0], 10, 32)
		minor, nerr := strconv.ParseUint(fields[1], 10, 32)
		busy, berr := strconv.ParseUint(fields[busyMillis], 10, 53)
		running, rerr := strconv.ParseUint(fields[inFlight], 10, 64)
		done, derr := sum(fields, readsDone, writesDone, discards, flushes)
		if errors.Join(merr, nerr, berr, rerr, derr) == nil {
			counters[Number{uint32(major), uint32(minor)}] = Counter{
				Busy: time.Duration(busy) * time.Millisecond, Running: running, Done: done,
			}
		}
	}
	return counters
}

// sum adds up the columns that are there.
func sum(fields []string, columns ...int) (total uint64, err error) {
	for _, c := range columns {
		if c >= len(fields) {
			continue
		}
		n, err := strconv.ParseUint(fields[c], 10, 64)
		if err != nil {
			return 0, err
		}
		total += n
	}
	return total, nil
}
