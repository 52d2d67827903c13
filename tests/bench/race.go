package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// p99Aim is what 99 of 100 answers should stay below with few connections.
const p99Aim = 10 * time.Millisecond

// race has trackers on several databases do the same tasks in turns.
type race struct {
	options options
	fields  []*installation // one for each database
}

// startRace starts all databases and trackers.
func startRace(ctx context.Context, o options, dir, caddy string) (_ *race, err error) {
	r := &race{options: o}
	defer func() {
		if err != nil {
			err = errors.Join(err, r.stop())
		}
	}()
	for _, e := range o.engines {
		if err := e.open(ctx, dir); err != nil {
			return nil, err
		}
		i, err := install(ctx, caddy, e, o.files, doomedEach*(o.rounds+1), true)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", e.name, err)
		}
		r.fields = append(r.fields, i)
		for job := range workers {
			if err := i.want(ctx, 0, job); err != nil {
				return nil, err
			}
		}
	}
	return r, nil
}

func (r *race) stop() error {
	for _, i := range r.fields {
		i.stop()
	}
	var errs []error
	for _, e := range r.options.engines {
		errs = append(errs, e.close())
	}
	return errors.Join(errs...)
}

// run prints a line for each task and database.
func (r *race) run(ctx context.Context) error {
	fmt.Println("| work | connections | database | per second | reference | aim | p50 | p99 | tracker's time each | database's | the load's |")
	fmt.Println("|---|---|---|---|---|---|---|---|---|---|---|")
	for _, t := range tasks() {
		if !r.options.only.MatchString(t.name) {
			continue
		}
		if err := r.play(ctx, t); err != nil {
			return fmt.Errorf("%s: %w", t.name, err)
		}
	}
	return nil
}

// times is what one installation managed in one task, one of each for a round.
type times struct{ perSecond, p50, p99, tracker, database, load []float64 }

func (r *race) play(ctx context.Context, t task) error {
	fields := r.fields
	if t.databaseless {
		fields = fields[:1]
	}
	all := make([]times, len(fields))
	for range r.options.rounds {
		for n, i := range fields {
			if err := all[n].add(ctx, t, i, r.options.each); err != nil {
				return fmt.Errorf("%s: %w", i.engine.name, err)
			}
		}
	}
	for n, i := range fields {
		all[n].print(t, i)
	}
	return r.profile(ctx, t, fields)
}

// add measures a task once more, with its job at work beside it.
func (a *times) add(ctx context.Context, t task, i *installation, d time.Duration) error {
	if t.job != "" {
		if err := i.want(ctx, workers[t.job], t.job); err != nil {
			return err
		}
	}
	before, err := i.cpu()
	if err != nil {
		return err
	}
	began := time.Now()
	got, err := t.measure(ctx, i, d)
	if err != nil {
		return err
	}
	done := got.perSecond * time.Since(began).Seconds()
	after, err := i.cpu()
	if err != nil {
		return err
	}
	a.perSecond = append(a.perSecond, got.perSecond)
	a.p50 = append(a.p50, got.latencies.quantile(0.5).Seconds())
	a.p99 = append(a.p99, got.latencies.quantile(0.99).Seconds())
	a.tracker = append(a.tracker, (after.tracker-before.tracker)/done)
	a.database = append(a.database, (after.database-before.database)/done)
	a.load = append(a.load, (after.load-before.load)/done)
	if t.job != "" {
		return i.want(ctx, 0, t.job)
	}
	return nil
}

// workers is how many of them a job has by default.
var workers = map[string]int{"replicate": 24, "delete": 16}

// spent is the processor time that all who take part have used, in seconds.
type spent struct{ tracker, database, load float64 }

func (i *installation) cpu() (s spent, err error) {
	if s.tracker, err = cpuTime(i.pid()); err != nil {
		return s, err
	}
	if s.database, err = cpuTime(i.engine.pid); err != nil {
		return s, err
	}
	s.load, err = ownCPUTime()
	return s, err
}

func (a *times) print(t task, i *installation) {
	name, reference, aim, database := i.engine.name, "", "p99 < "+p99Aim.String(), ""
	if t.databaseless {
		name = ""
	}
	if t.aim > 0 {
		reference, aim = fmt.Sprintf("%.0f", t.reference), fmt.Sprintf("%.0f", t.aim)
	}
	if i.engine.pid != 0 {
		database = fmt.Sprintf("%.0f µs", median(a.database)*1e6)
	}
	fmt.Printf("| %s | %d | %s | %.0f | %s | %s | %.2f ms | %.2f ms | %.0f µs | %s | %.0f µs |\n",
		t.name, t.connections, name, median(a.perSecond), reference, aim,
		median(a.p50)*1e3, median(a.p99)*1e3, median(a.tracker)*1e6, database, median(a.load)*1e6)
}
