package window

import (
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/quorate/quorate/api/v1alpha1"
)

// saturday is 2026-11-21, 12:00 UTC, 13:00 in Berlin.
var saturday = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

func window(schedule, zone string, d time.Duration) *v1alpha1.MaintenanceWindow {
	w := &v1alpha1.MaintenanceWindow{Schedule: schedule, Duration: &metav1.Duration{Duration: d}}
	if zone != "" {
		w.TimeZone = &zone
	}
	return w
}

func TestOpens(t *testing.T) {
	const berlin = "Europe/Berlin"
	for name, tc := range map[string]struct {
		window *v1alpha1.MaintenanceWindow
		want   time.Time
	}{
		"no window is always open":                   {nil, saturday},
		"it opens right now":                         {window("0 12 * * 6", "", time.Hour), saturday},
		"it has been open for an hour":               {window("0 11 * * *", "", 2*time.Hour), saturday.Add(-time.Hour)},
		"it has just closed, and opens a week later": {window("0 11 * * 6", "", time.Hour), saturday.Add(7*24*time.Hour - time.Hour)},
		"it opens at night":                          {window("30 2 * * *", "", time.Hour), saturday.Add(14*time.Hour + 30*time.Minute)},
		"the time zone counts":                       {window("0 13 * * *", berlin, time.Hour), saturday},
		"so does summer time": {
			window("0 3 1 7 *", berlin, time.Hour), time.Date(2027, 7, 1, 1, 0, 0, 0, time.UTC),
		},
		"a window of a week is open for days": {window("@weekly", "", 168*time.Hour), saturday.Add(-6*24*time.Hour - 12*time.Hour)},
	} {
		w, err := Parse(tc.window, saturday)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got := w.Opens(saturday); !got.Equal(tc.want) {
			t.Errorf("%s: opens at %s, want %s", name, got.UTC(), tc.want)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for name, tc := range map[string]struct {
		window *v1alpha1.MaintenanceWindow
		wants  string
	}{
		"a minute that does not exist": {window("61 3 * * *", "", time.Hour), "above maximum (59)"},
		"a day that does not exist":    {window("0 3 30 2 *", "", time.Hour), "give days that exist"},
		"an unknown time zone":         {window("0 3 * * *", "Europe/Atlantis", time.Hour), "not in the IANA time zone database"},
		"no duration":                  {&v1alpha1.MaintenanceWindow{Schedule: "0 3 * * *"}, "duration is missing"},
	} {
		if _, err := Parse(tc.window, saturday); err == nil || !strings.Contains(err.Error(), tc.wants) {
			t.Errorf("%s: got error %v, want one that says %q", name, err, tc.wants)
		}
	}
}
