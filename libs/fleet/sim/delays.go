package sim

import "time"

// Delays are how long things take in the world. Each is drawn from the seed between half
// and one and a half of its value, except where it says exact.
type Delays struct {
	Pending  time.Duration // EC2: pending → running
	Register time.Duration // EC2 running → agent registered with ECS
	// RegisterBottlerocket and RegisterWindows stand for Register there, RegisterMetal
	// comes on top of it.
	RegisterBottlerocket, RegisterWindows, RegisterMetal time.Duration
	// RegisterTail makes these times long-tailed: it is the standard deviation of their
	// logarithm, and they are the medians.
	RegisterTail float64
	Reconnect    time.Duration // a lost agent can reach ECS again → it is connected
	Trunk        time.Duration // ECS: REGISTERING → ACTIVE while a trunk interface is attached
	Terminate    time.Duration // EC2: shutting-down → terminated
	Disconnect   time.Duration // EC2 shutting-down → ECS sees the agent disconnected
	Linger       time.Duration // exact: how long terminated instances stay listed
	Visible      time.Duration // launched → Describe operations of EC2 know it; default none
	Found        time.Duration // launched → operations that change it know it; default Visible
	Tagged       time.Duration // tags changed → Describe operations show them; default none
	Lag          time.Duration // state changed → Describe operations show it; default none
	QuotaLag     time.Duration // terminated → its vCPUs no longer count; default none
	Halt         time.Duration // EC2: stopping → stopped
	Provision    time.Duration // task PROVISIONING (awsvpc only)
	Pull         time.Duration // task PENDING: image pull
	PullFirst    time.Duration // the same where an image was not pulled before
	Activate     time.Duration // task ACTIVATING (behind a load balancer only)
	Deactivate   time.Duration // task DEACTIVATING (behind a load balancer only)
	Stop         time.Duration // SIGTERM → containers ended; cut off at the stop timeout
	Deprovision  time.Duration // task DEPROVISIONING (awsvpc only)
	Healthy      time.Duration // exact: RUNNING → counted healthy
	StoppedTask  time.Duration // exact: how long STOPPED tasks stay describable
	SpotWarning  time.Duration // exact: interruption warning → EC2 takes the instance
	Event        time.Duration // something happens → its event is in the queues
	Waiting      time.Duration // task PROVISIONING for want of capacity → ECS gives up
	Group        time.Duration // an auto scaling group is changed → it launches or terminates
	GroupHealth  time.Duration // an instance of a group ends → the group notices
	GroupRetry   time.Duration // exact: a launch of a group failed → it tries again
	Alarm        time.Duration // a datapoint of managed scaling → its alarm acts

	// TargetHealthy and TargetUnhealthy are exact: how long a load balancer takes to find
	// that a task which runs is well, and that one which falls ill is not.
	TargetHealthy, TargetUnhealthy time.Duration

	Reconcile     time.Duration // exact: pace of a service's scheduler while it has work
	RetryAttempts int           // placement attempts of a service before it backs off
	RetryShort    time.Duration // exact: between those attempts
	RetryLong     time.Duration // exact: the first back-off; each further one is twice as long
	RetryMax      time.Duration // exact: the longest back-off
	// RetrySpread is how much longer than that a wait may be, by chance: 0.5 is up to half
	// as long again. Default 0.
	RetrySpread float64

	ThrottleAfter int           // tasks in a row that do not reach RUNNING before a service is throttled
	ThrottleFirst time.Duration // exact: the first wait of a throttled service; each further one is twice as long
	ThrottleMax   time.Duration // exact: the longest such wait
	// Rebalance is exact: steady state → ECS balances a service over its zones.
	Rebalance time.Duration
}

// FastDelays are the default: what ECS and EC2 take, but with placement back-offs short
// enough to watch. See [MeasuredDelays] for those.
func FastDelays() Delays {
	return Delays{
		Pending:     8 * time.Second,
		Register:    32 * time.Second, // launch to registered is 41 s where it was measured
		Reconnect:   10 * time.Second,
		Trunk:       10 * time.Second,
		Terminate:   30 * time.Second,
		Halt:        25 * time.Second,
		Disconnect:  5 * time.Second,
		Linger:      time.Hour,
		Provision:   4 * time.Second,
		Pull:        6 * time.Second,
		PullFirst:   6 * time.Second,
		Activate:    4 * time.Second,
		Deactivate:  20 * time.Second,
		Stop:        3 * time.Second,
		Deprovision: 4 * time.Second,
		Healthy:     40 * time.Second, // documented for tasks without a health check
		StoppedTask: time.Hour,        // documented as the least
		SpotWarning: 2 * time.Minute,  // documented
		Waiting:     usualWait,
		Group:       10 * time.Second,
		GroupHealth: 30 * time.Second,
		GroupRetry:  time.Minute,
		Alarm:       30 * time.Second, // an alarm is evaluated each minute
		Event:       400 * time.Millisecond,

		RegisterBottlerocket: 20 * time.Second,
		RegisterWindows:      5 * time.Minute,
		RegisterMetal:        4 * time.Minute,

		Reconcile:     time.Second,
		RetryAttempts: 3,
		RetryShort:    5 * time.Second,
		RetryLong:     20 * time.Second,
		RetryMax:      time.Minute,

		TargetHealthy:   40 * time.Second,
		TargetUnhealthy: time.Minute, // two checks, 30 s apart
		ThrottleAfter:   3,
		ThrottleFirst:   10 * time.Second,
		ThrottleMax:     2 * time.Minute,
		Rebalance:       time.Minute,
	}
}

// MeasuredDelays are what people measured on ECS. Placement is tried three times in about
// 50 seconds, then after 5 minutes, then longer, up to the documented 15 minutes; tasks that
// do not start are throttled for up to the documented 27 minutes. Half the Linux instances
// register within 50 seconds, one in twenty takes two minutes or more; the first pull of an
// image takes a while.
func MeasuredDelays() Delays {
	d := FastDelays()
	d.RetryShort, d.RetryLong, d.RetryMax = 25*time.Second, 5*time.Minute, 15*time.Minute
	d.Register, d.RegisterTail, d.PullFirst = 40*time.Second, 0.6, 20*time.Second
	d.ThrottleFirst, d.ThrottleMax = time.Minute, 27*time.Minute
	d.Register, d.RegisterTail, d.PullFirst = 40*time.Second, 0.6, 20*time.Second
	return d
}

// None is a delay of no time at all, for the fields of [Delays], whose zero means the
// default.
const None = time.Nanosecond

func (d Delays) withDefaults() Delays {
	fast := FastDelays()
	for _, f := range []struct{ value, usual *time.Duration }{
		{&d.Pending, &fast.Pending},
		{&d.Register, &fast.Register},
		{&d.RegisterBottlerocket, &fast.RegisterBottlerocket},
		{&d.RegisterWindows, &fast.RegisterWindows},
		{&d.RegisterMetal, &fast.RegisterMetal},
		{&d.Reconnect, &fast.Reconnect},
		{&d.Trunk, &fast.Trunk},
		{&d.Terminate, &fast.Terminate},
		{&d.Halt, &fast.Halt},
		{&d.Disconnect, &fast.Disconnect},
		{&d.Linger, &fast.Linger},
		{&d.Provision, &fast.Provision},
		{&d.Pull, &fast.Pull},
		{&d.PullFirst, &fast.PullFirst},
		{&d.Activate, &fast.Activate},
		{&d.Deactivate, &fast.Deactivate},
		{&d.Stop, &fast.Stop},
		{&d.Deprovision, &fast.Deprovision},
		{&d.Healthy, &fast.Healthy},
		{&d.StoppedTask, &fast.StoppedTask},
		{&d.SpotWarning, &fast.SpotWarning},
		{&d.Event, &fast.Event},
		{&d.Waiting, &fast.Waiting},
		{&d.Group, &fast.Group},
		{&d.GroupHealth, &fast.GroupHealth},
		{&d.GroupRetry, &fast.GroupRetry},
		{&d.Alarm, &fast.Alarm},
		{&d.Reconcile, &fast.Reconcile},
		{&d.RetryShort, &fast.RetryShort},
		{&d.RetryLong, &fast.RetryLong},
		{&d.RetryMax, &fast.RetryMax},
		{&d.TargetHealthy, &fast.TargetHealthy},
		{&d.TargetUnhealthy, &fast.TargetUnhealthy},
		{&d.ThrottleFirst, &fast.ThrottleFirst},
		{&d.ThrottleMax, &fast.ThrottleMax},
		{&d.Rebalance, &fast.Rebalance},
	} {
		if *f.value <= 0 {
			*f.value = *f.usual
		}
	}
	if d.RetryAttempts <= 0 {
		d.RetryAttempts = fast.RetryAttempts
	}
	if d.ThrottleAfter <= 0 {
		d.ThrottleAfter = fast.ThrottleAfter
	}
	return d
}
