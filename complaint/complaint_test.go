package complaint_test

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/mogilefs/caddy-mogilefs/complaint"
)

func TestALogHearsOfManyNowAndThen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		core, heard := observer.New(zap.WarnLevel)
		var c complaint.Complaint
		c.Warn(nil, "nobody hears this")
		for range 3 {
			c.Warn(zap.New(core), "refused")
		}
		<-time.After(complaint.Every)
		c.Warn(zap.New(core), "refused")
		var others []int64
		for _, e := range heard.All() {
			others = append(others, e.ContextMap()["others before"].(int64))
		}
		if want := []int64{0, 2}; !slices.Equal(others, want) {
			t.Errorf("got warnings after so many others: %v; want %v", others, want)
		}
	})
}
