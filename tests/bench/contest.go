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
	work        string
	unit        string
	connections int
	rivals      []rival
}

type rival struct {
	name string
	// measure does the work for so long.
	measure func(context.Context, time.Duration) (result, error)
	// server is the process that does the work; 0 when it is this one.
	server int
	// aim is how many times as many as this one ours should manage; 0 for none.
	aim float64
}

// result is what a rival managed in one round.
type result struct {
	perSecond float64
	p50, p99  time.Duration
}

// figures are what one rival managed, one for each round.
type figures struct{ perSecond, p50, p99, cpuEach []float64 }

// printHead prints what stands above the lines of contests.
func printHead() {
	fmt.Println("| work | connections | who | per second | ours against it | aim | p50 | p99 | processor time each | its against ours |")
	fmt.Println("|---|---|---|---|---|---|---|---|---|---|")
}

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
	for i, r := range c.rivals {
		c.print(r, all[i], all[0])
	}
	return nil
}

func (c contest) print(r rival, its, ours figures) {
	rateRatio, aim, cpu, cpuRatio := "1", "", "", ""
	if r.name != c.rivals[0].name {
		rateRatio = fmt.Sprintf("%.2f", median(ours.perSecond)/median(its.perSecond))
	}
	if r.aim != 0 {
		aim = fmt.Sprintf("%.2f", r.aim)
	}
	if r.server != 0 {
		cpu = fmt.Sprintf("%.0f µs", median(its.cpuEach)*1e6)
		cpuRatio = fmt.Sprintf("%.2f", median(its.cpuEach)/median(ours.cpuEach))
	}
	rate := fmt.Sprintf("%.0f", median(its.perSecond))
	if median(its.perSecond) < 10 {
		rate = fmt.Sprintf("%.2f", median(its.perSecond))
	}
	fmt.Printf("| %s | %d | %s | %s %s | %s | %s | %.2f ms | %.2f ms | %s | %s |\n", c.work, c.connections, r.name,
		rate, c.unit, rateRatio, aim, median(its.p50)*1e3, median(its.p99)*1e3, cpu, cpuRatio)
}

// add measures a rival once more.
func (f *figures) add(ctx context.Context, r rival, each time.Duration) error {
	before, err := cpuTime(r.server)
	if err != nil {
		return err
	}
	began := time.Now()
	got, err := r.measure(ctx, each)
	if err != nil {
		return err
	}
	took := time.Since(began).Seconds()
	after, err := cpuTime(r.server)
	if err != nil {
		return err
	}
	f.perSecond = append(f.perSecond, got.perSecond)
	f.p50 = append(f.p50, got.p50.Seconds())
	f.p99 = append(f.p99, got.p99.Seconds())
	f.cpuEach = append(f.cpuEach, (after-before)/(got.perSecond*took))
	return nil
}

func median(v []float64) float64 {
	sorted := slices.SortedFunc(slices.Values(v), cmp.Compare[float64])
	return sorted[len(sorted)/2]
}
