"""HTTP, for operators: gates, queues, jobs that need somebody, webhooks; pause, resume, repair and resend."""
