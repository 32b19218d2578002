// Package window tells whether a maintenance window is open, and when it opens next. It is pure: the time comes in.
package window

import (
	"errors"
	"fmt"
	"time"
	_ "time/tzdata" // the operator's image has no time zone database

	"github.com/robfig/cron/v3"
	"k8s.io/utils/ptr"

	"github.com/quorate/quorate/api/v1alpha1"
)

// Window is a time that comes again and again. The zero value is always open.
type Window struct {
	schedule cron.Schedule
	duration time.Duration
}

// errNever is what a schedule is refused with that names no day of any year, such as 30 February.
var errNever = errors.New("it never comes: give days that exist")

// Parse reads a window; nil is the one that is always open. now is any time near the present: a schedule that names no
// time in the years after it is refused.
func Parse(w *v1alpha1.MaintenanceWindow, now time.Time) (Window, error) {
	if w == nil {
		return Window{}, nil
	}
	zone := ptr.Deref(w.TimeZone, "UTC")
	if _, err := time.LoadLocation(zone); err != nil {
		return Window{}, fmt.Errorf("timeZone %q is not in the IANA time zone database: give a name such as Europe/Berlin",
			zone)
	}
	schedule, err := cron.ParseStandard("CRON_TZ=" + zone + " " + w.Schedule)
	if err == nil && schedule.Next(now).IsZero() {
		err = errNever
	}
	if err != nil {
		return Window{}, fmt.Errorf("schedule %q: %w", w.Schedule, err)
	}
	if w.Duration == nil || w.Duration.Duration <= 0 {
		return Window{}, errors.New("duration is missing: give one such as 2h")
	}
	return Window{schedule: schedule, duration: w.Duration.Duration}, nil
}

// Opens tells when the window opens: now or earlier when it is open.
func (w Window) Opens(now time.Time) time.Time {
	if w.schedule == nil {
		return now
	}
	// The first opening whose window has not closed yet.
	return w.schedule.Next(now.Add(-w.duration))
}
