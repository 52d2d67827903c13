package follower

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
)

const within, retry = 2 * time.Second, 15 * time.Second

var (
	errDead   = errors.New("dead")
	errAbsent = errors.New("absent")
)

// fake is a database; each call of it is counted.
type fake struct {
	asked  int
	answer func(context.Context) (string, error)
}

func says(word string) func(context.Context) (string, error) {
	return func(context.Context) (string, error) { return word, nil }
}

func fails(err error) func(context.Context) (string, error) {
	return func(context.Context) (string, error) { return "", err }
}

// silent says nothing until it is too late.
func silent(ctx context.Context) (string, error) { <-ctx.Done(); return "", ctx.Err() }

func setOf(dbs ...*fake) *Set[*fake] {
	var all []*Follower[*fake]
	for _, db := range dbs {
		all = append(all, &Follower[*fake]{Name: "slave_one", DB: db})
	}
	return NewSet(Config{
		Within: within, Retry: retry, Now: time.Now, Logger: zap.NewNop(),
		WellAnswered: func(err error) bool { return errors.Is(err, errAbsent) },
	}, all)
}

// ask asks once and returns the answer, "" for none, and how long it took.
func ask(t *testing.T, s *Set[*fake]) (string, time.Duration) {
	t.Helper()
	began := time.Now()
	v, ok := Ask(t.Context(), s, func(ctx context.Context, db *fake) (string, error) {
		db.asked++
		return db.answer(ctx)
	})
	if !ok && v != "" {
		t.Errorf("got %q and no answer; want nothing", v)
	}
	return v, time.Since(began)
}

func want(t *testing.T, s *Set[*fake], word string, atMost time.Duration, when string) {
	t.Helper()
	if got, took := ask(t, s); got != word || took > atMost {
		t.Errorf("%s: got %q after %v; want %q within %v", when, got, took, word, atMost)
	}
	synctest.Wait()
}

func TestOneThatIsSilentCostsMomentsAndIsLeftAside(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		well, bad := &fake{answer: says("yes")}, &fake{answer: silent}
		s := setOf(well, bad)
		for range 20 {
			want(t, s, "yes", patience, "one is silent")
		}
		<-time.After(within)
		synctest.Wait()
		bad.asked = 0
		for range 20 {
			want(t, s, "yes", 0, "it is left aside")
		}
		if bad.asked != 0 {
			t.Errorf("got the silent one asked %d times; want it left aside", bad.asked)
		}
		<-time.After(within + retry)
		bad.answer = says("yes, too")
		for range 20 {
			ask(t, s)
			synctest.Wait()
		}
		if bad.asked < 2 {
			t.Errorf("got it asked %d times when it was back; want it among the others", bad.asked)
		}
		if err := s.Close(func(*fake) error { return nil }); err != nil {
			t.Fatal(err)
		}
	})
}

func TestOneWithAnOverdueAnswerIsNotAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := &fake{answer: func(context.Context) (string, error) { <-time.After(3 * patience); return "late", nil }}
		s := setOf(slow)
		want(t, s, "", patience, "slow")
		want(t, s, "", 0, "its answer is overdue")
		if slow.asked != 1 {
			t.Errorf("got it asked %d times; want once", slow.asked)
		}
		<-time.After(3 * patience)
		slow.answer = says("soon")
		want(t, s, "soon", 0, "it has answered")
	})
}

func TestOneOnTrialKeepsNobodyFromAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bad := &fake{answer: fails(errDead)}
		well := &fake{answer: func(context.Context) (string, error) { <-time.After(patience / 2); return "yes", nil }}
		s := setOf(bad, well)
		for range 3 {
			for bad.asked = 0; bad.asked == 0; {
				want(t, s, "yes", patience/2, "one is dead")
			}
			<-time.After(time.Minute)
		}
	})
}

func TestWhenNoneAnswersTheMasterIsAskedSoon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		one, two := &fake{answer: silent}, &fake{answer: fails(errDead)}
		s := setOf(one, two)
		want(t, s, "", 2*patience, "one is silent, one dead")
		if one.asked != 1 || two.asked != 1 {
			t.Errorf("got them asked %d and %d times; want each once", one.asked, two.asked)
		}
		<-time.After(within)
	})
}

func TestTheLongerOneFailsTheLongerItIsLeftAside(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		one := &fake{answer: fails(errDead)}
		s := setOf(one)
		for failures := range 4 {
			want(t, s, "", 0, "dead")
			if one.asked != failures+1 {
				t.Fatalf("got it asked %d times; want %d", one.asked, failures+1)
			}
			<-time.After(time.Duration(failures+1)*retry - time.Second)
			want(t, s, "", 0, "before its time")
			if one.asked != failures+1 {
				t.Fatalf("got it asked before its time")
			}
			<-time.After(2 * time.Second)
		}
		one.answer = says("back")
		want(t, s, "back", 0, "back")
	})
}

func TestThatNothingIsThereIsAnAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		one := &fake{answer: fails(errAbsent)}
		s := setOf(one)
		for range 3 {
			want(t, s, "", 0, "absent")
		}
		if one.asked != 3 {
			t.Errorf("got it asked %d times; want 3: it is well", one.asked)
		}
	})
}

func TestClosingWaitsForQuestions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		one := &fake{answer: silent}
		s := setOf(one)
		want(t, s, "", patience, "silent")
		began := time.Now()
		if err := s.Close(func(*fake) error { return errDead }); !errors.Is(err, errDead) {
			t.Errorf("close: got %v; want %v", err, errDead)
		}
		if took := time.Since(began); took != within-patience {
			t.Errorf("close: got it after %v; want it after the question, %v", took, within-patience)
		}
		one.asked = 0
		if want(t, s, "", 0, "closed"); one.asked != 0 {
			t.Error("closed: got it asked")
		}
	})
}
