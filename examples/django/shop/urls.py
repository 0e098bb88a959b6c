"""What the shop answers."""

from django.urls import path

from shop import views

urlpatterns = [
    path("reply/<user_id>", views.reply),
    path("metrics", views.metrics),
]
