"""HTTP, for operators: gates, queues, jobs that need attention, webhooks; pause, resume, repair and resend."""
