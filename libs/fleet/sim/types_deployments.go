package sim

// The structures of service deployments and service revisions, with the json names of the
// ECS API.

// ThresholdConfiguration says how many failures a deployment circuit breaker tolerates.
type ThresholdConfiguration struct {
	Type  string `json:"type"` // COUNT, BOUNDED_PERCENT or UNBOUNDED_PERCENT
	Value int    `json:"value"`
}

// ServiceCurrentRevision is how far one revision of a service has got.
type ServiceCurrentRevision struct {
	Arn                string `json:"arn"`
	RequestedTaskCount int    `json:"requestedTaskCount"`
	RunningTaskCount   int    `json:"runningTaskCount"`
	PendingTaskCount   int    `json:"pendingTaskCount"`
}

// ServiceDeploymentBrief is a service deployment as ListServiceDeployments shows it.
type ServiceDeploymentBrief struct {
	ServiceDeploymentArn     string    `json:"serviceDeploymentArn"`
	ServiceArn               string    `json:"serviceArn"`
	ClusterArn               string    `json:"clusterArn"`
	StartedAt                Timestamp `json:"startedAt,omitzero"`
	CreatedAt                Timestamp `json:"createdAt"`
	FinishedAt               Timestamp `json:"finishedAt,omitzero"`
	TargetServiceRevisionArn string    `json:"targetServiceRevisionArn"`
	Status                   string    `json:"status"`
	StatusReason             string    `json:"statusReason,omitempty"`
}

// ServiceDeployment is one change of a service from one revision to another.
type ServiceDeployment struct {
	ServiceDeploymentArn     string                           `json:"serviceDeploymentArn"`
	ServiceArn               string                           `json:"serviceArn"`
	ClusterArn               string                           `json:"clusterArn"`
	CreatedAt                Timestamp                        `json:"createdAt"`
	StartedAt                Timestamp                        `json:"startedAt,omitzero"`
	FinishedAt               Timestamp                        `json:"finishedAt,omitzero"`
	StoppedAt                Timestamp                        `json:"stoppedAt,omitzero"`
	UpdatedAt                Timestamp                        `json:"updatedAt,omitzero"`
	SourceServiceRevisions   []ServiceCurrentRevision         `json:"sourceServiceRevisions"`
	TargetServiceRevision    ServiceCurrentRevision           `json:"targetServiceRevision"`
	Status                   string                           `json:"status"`
	StatusReason             string                           `json:"statusReason,omitempty"`
	DeploymentConfiguration  *DeploymentConfiguration         `json:"deploymentConfiguration,omitempty"`
	Rollback                 *ServiceDeploymentRollback       `json:"rollback,omitempty"`
	DeploymentCircuitBreaker *ServiceDeploymentCircuitBreaker `json:"deploymentCircuitBreaker,omitempty"`
}

// ServiceDeploymentRollback says why and to what a service deployment goes back.
type ServiceDeploymentRollback struct {
	Reason             string    `json:"reason,omitempty"`
	StartedAt          Timestamp `json:"startedAt,omitzero"`
	ServiceRevisionArn string    `json:"serviceRevisionArn,omitempty"`
}

// ServiceDeploymentCircuitBreaker is where the circuit breaker stands.
type ServiceDeploymentCircuitBreaker struct {
	Status       string `json:"status"` // TRIGGERED, MONITORING, MONITORING_COMPLETE, DISABLED
	FailureCount int    `json:"failureCount"`
	Threshold    int    `json:"threshold"`
}

// ContainerImage is the image of one container of a service revision.
type ContainerImage struct {
	ContainerName string `json:"containerName"`
	Image         string `json:"image"`
}

// ServiceRevision is the part of a service that a deployment carries out, as it was then.
type ServiceRevision struct {
	ServiceRevisionArn       string                         `json:"serviceRevisionArn"`
	ServiceArn               string                         `json:"serviceArn"`
	ClusterArn               string                         `json:"clusterArn"`
	TaskDefinition           string                         `json:"taskDefinition"`
	CapacityProviderStrategy []CapacityProviderStrategyItem `json:"capacityProviderStrategy,omitempty"`
	LaunchType               string                         `json:"launchType,omitempty"`
	LoadBalancers            []LoadBalancer                 `json:"loadBalancers,omitempty"`
	NetworkConfiguration     *NetworkConfiguration          `json:"networkConfiguration,omitempty"`
	ContainerImages          []ContainerImage               `json:"containerImages"`
	GuardDutyEnabled         bool                           `json:"guardDutyEnabled"`
	CreatedAt                Timestamp                      `json:"createdAt"`
}

// CreatedAtFilter bounds when a service deployment was made.
type CreatedAtFilter struct {
	Before Timestamp `json:"before"`
	After  Timestamp `json:"after"`
}

// ListServiceDeploymentsInput is the request of ListServiceDeployments: the newest first.
type ListServiceDeploymentsInput struct {
	Service    string           `json:"service"`
	Cluster    string           `json:"cluster"`
	Status     []string         `json:"status"`
	CreatedAt  *CreatedAtFilter `json:"createdAt"`
	NextToken  string           `json:"nextToken"`
	MaxResults int              `json:"maxResults"`
}

// ListServiceDeploymentsOutput is the answer of ListServiceDeployments.
type ListServiceDeploymentsOutput struct {
	ServiceDeployments []ServiceDeploymentBrief `json:"serviceDeployments"`
	NextToken          string                   `json:"nextToken,omitempty"`
}

// DescribeServiceDeploymentsInput is the request of DescribeServiceDeployments: at most 20.
type DescribeServiceDeploymentsInput struct {
	ServiceDeploymentArns []string `json:"serviceDeploymentArns"`
}

// DescribeServiceDeploymentsOutput is the answer of DescribeServiceDeployments.
type DescribeServiceDeploymentsOutput struct {
	ServiceDeployments []ServiceDeployment `json:"serviceDeployments"`
	Failures           []Failure           `json:"failures"`
}

// DescribeServiceRevisionsInput is the request of DescribeServiceRevisions: at most 20.
type DescribeServiceRevisionsInput struct {
	ServiceRevisionArns []string `json:"serviceRevisionArns"`
}

// DescribeServiceRevisionsOutput is the answer of DescribeServiceRevisions.
type DescribeServiceRevisionsOutput struct {
	ServiceRevisions []ServiceRevision `json:"serviceRevisions"`
	Failures         []Failure         `json:"failures"`
}

// StopServiceDeploymentInput is the request of StopServiceDeployment. StopType is ROLLBACK,
// which is the default, or ABORT.
type StopServiceDeploymentInput struct {
	ServiceDeploymentArn string `json:"serviceDeploymentArn"`
	StopType             string `json:"stopType"`
}

// StopServiceDeploymentOutput is the answer of StopServiceDeployment.
type StopServiceDeploymentOutput struct {
	ServiceDeploymentArn string `json:"serviceDeploymentArn"`
}
