package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"
)

// contest is one line of work with whoever does it; the first is ours.
type contest struct {
	work   string
	unit   string
	rivals []rival
}

type rival struct {
	name string
	// measure returns how many it managed in a second.
	measure func(context.Context, time.Duration) (float64, error)
	// server is the process that does the work; 0 when it is this one.
	server int
}

// figures are what one rival managed, one for each round.
type figures struct{ perSecond, cpuEach []float64 }

// play measures all rivals in turns and prints the medians.
func (c contest) play(ctx context.Context, rounds int, each time.Duration) error {
	all := make([]figures, len(c.rivals))
	for range rounds {
		for i, r := range c.rivals {
			if err := all[i].add(ctx, r, each); err != nil {
				return fmt.Errorf("%s: %w", r.name, err)
			}
		}
	}
	ours := all[0]
	for i, r := range c.rivals {
		rate, cpu, rateRatio, cpuRatio := median(all[i].perSecond), "", "1", ""
		if i > 0 {
			rateRatio = fmt.Sprintf("%.2f", median(ours.perSecond)/rate)
		}
		if r.server != 0 {
			cpu = fmt.Sprintf("%.0f µs", median(all[i].cpuEach)*1e6)
			cpuRatio = fmt.Sprintf("%.2f", median(all[i].cpuEach)/median(ours.cpuEach))
		}
		fmt.Printf("| %s | %s | %.0f %s | %s | %s | %s |\n", c.work, r.name, rate, c.unit, rateRatio, cpu, cpuRatio)
	}
	return nil
}

// add measures a rival once more.
func (f *figures) add(ctx context.Context, r rival, each time.Duration) error {
	before, err := cpuTime(r.server)
	if err != nil {
		return err
	}
	began := time.Now()
	perSecond, err := r.measure(ctx, each)
	if err != nil {
		return err
	}
	took := time.Since(began).Seconds()
	after, err := cpuTime(r.server)
	if err != nil {
		return err
	}
	f.perSecond = append(f.perSecond, perSecond)
	f.cpuEach = append(f.cpuEach, (after-before)/(perSecond*took))
	return nil
}

func median(v []float64) float64 {
	sorted := slices.SortedFunc(slices.Values(v), cmp.Compare[float64])
	return sorted[len(sorted)/2]
}
